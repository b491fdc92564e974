import t from 'tap'
import { essentia } from '../../../services/analyze/essentia.ts'
import { band } from './synth.ts'

const RATE = 44_100

t.test('a window has one tempo, whatever was asked before', async (t) => {
  const { rhythm } = essentia()
  const [beat, other] = [band(125), band(93)]
  // In a passage of digital silence, uninitialized memory would be read.
  const window = Float32Array.from({ length: 20 * RATE }, (_, i) =>
    i < 3 * RATE || i > 17 * RATE ? beat(i) / 2 : 0,
  )
  const before = Float32Array.from({ length: 20 * RATE }, (_, i) => other(i) / 2)
  const tempos = Array.from({ length: 4 }, () => {
    rhythm(before)
    return rhythm(window)
  })
  t.equal(new Set(tempos).size, 1, `${tempos}`)
})
