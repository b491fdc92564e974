import t from 'tap'
import { essentia } from '../../../services/analyze/essentia.ts'
import { band, RATE } from '../../support/synth.ts'

t.test('a window has one tempo, whatever was asked before', async (t) => {
  const { rhythm } = essentia()
  const [window, before] = [125, 93].map((bpm) =>
    Float32Array.from(band(20 * RATE, bpm), (x) => x / 2),
  ) as [Float32Array, Float32Array]
  // In a passage of digital silence, uninitialized memory would be read.
  window.fill(0, 3 * RATE, 17 * RATE)
  const tempos = Array.from({ length: 4 }, () => {
    rhythm(before)
    return rhythm(window)
  })
  t.equal(new Set(tempos).size, 1, `${tempos}`)
})
