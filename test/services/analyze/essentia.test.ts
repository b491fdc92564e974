import t from 'tap'
import { essentia } from '../../../services/analyze/essentia.ts'
import { band, RATE } from '../../support/synth.ts'

t.test('a window has one tempo, whatever was asked before', async (t) => {
  const { rhythm } = essentia()
  const sound = (seconds: number, bpm: number) =>
    Float32Array.from(band(seconds * RATE, bpm), (x) => x / 2)
  const [window, before] = [sound(14, 125), sound(5, 93)]
  // In a passage of digital silence, uninitialized memory would be read.
  window.fill(0, 3 * RATE, 11 * RATE)
  const tempos = Array.from({ length: 4 }, () => {
    rhythm(before)
    return rhythm(window)
  })
  t.equal(new Set(tempos).size, 1, `${tempos}`)
})
