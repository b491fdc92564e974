import { SAMPLE_RATE } from '../../contracts/pcm-format.ts'
import { defineDerivative } from '../definition.ts'
import { energies, loudestWindow } from './preview/loudest-window.ts'

const SECONDS = 90
const BITRATE = 128_000
const FADES = { inSeconds: 1, outSeconds: 3 }

/**
 * The 90 consecutive seconds with the most energy, from a whole second on. The energy is the sum of the squares of the
 * samples, left and right, unweighted, so that the bass of a drop counts. Of several such windows it takes the first. A
 * track of up to 90 s is its own preview.
 */
export default defineDerivative({
  id: 'preview',
  version: 1,
  stage: 'encode',
  title: 'The most energetic 90 s, faded in and out, AAC-LC 128 kb/s in an .m4a',
  files: { m4a: 'audio/mp4' },
  cost: { fixedMs: 1100, msPerSecond: 0.3 },
  // Whole seconds, close to the grid of aac-128, so that a step that makes both reads nearly the same samples.
  grid: 238 * SAMPLE_RATE,
  async part(range, { pcm, signal }) {
    return new Uint8Array((await energies(pcm, range, signal)).buffer)
  },
  async join(parts, tools) {
    const { pcm } = tools
    const energy = new Float64Array(
      Uint8Array.from(Buffer.concat(await Array.fromAsync(parts))).buffer,
    )
    const first = loudestWindow(energy, SECONDS) * SAMPLE_RATE
    const last = Math.min(pcm.samples, first + SECONDS * SAMPLE_RATE)
    const window = tools.excerpt({ start: first, end: last }, FADES)
    return { m4a: await tools.m4a(window, BITRATE) }
  },
})
