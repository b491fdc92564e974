import { SAMPLE_RATE } from '../../contracts/pcm-format.ts'
import { defineDerivative } from '../definition.ts'
import { excerpt } from './preview/excerpt.ts'
import { energies, loudestWindow } from './preview/loudest-window.ts'

const SECONDS = 90
const BITRATE = 128_000

/**
 * The 90 s in a row, from a whole second on, with the most energy: the sum of the squares of the samples, left and
 * right, unweighted, for the bass of a drop shall count. Of several such windows the first. A track up to 90 s is
 * its own preview.
 */
export default defineDerivative({
  id: 'preview',
  version: 1,
  stage: 'encode',
  title: 'The most energetic 90 s, faded in and out, AAC-LC 128 kb/s in an .m4a',
  files: { m4a: 'audio/mp4' },
  cost: { fixedMs: 1100, msPerSecond: 0.3 },
  // Whole seconds; about that of aac-128, so that a step that makes both reads much the same samples.
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
    return { m4a: await tools.m4a(excerpt(pcm, { start: first, end: last }), BITRATE) }
  },
})
