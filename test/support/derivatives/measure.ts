import { defineDerivative } from '#shared/assets/definition.ts'

const SECONDS = 2
const RATE = 44_100

/** What came of a master, without reading all of a long one. */
export default defineDerivative({
  id: 'measure',
  version: 1,
  stage: 'analyze',
  title: 'Length, and the loudest number of the first and last seconds, for tests',
  files: { json: 'application/json' },
  result: true,
  cost: { fixedMs: 1, msPerSecond: 0 },
  async render({ pcm: { samples, read }, signal }) {
    const first = await read(0, Math.min(samples, SECONDS * RATE), signal)
    const last = await read(Math.max(0, samples - SECONDS * RATE), samples, signal)
    const peak = [first, last]
      .flatMap((pcm) => [...pcm])
      .reduce((a, b) => Math.max(a, Math.abs(b)), 0)
    return { json: Buffer.from(JSON.stringify({ samples, peak })) }
  },
})
