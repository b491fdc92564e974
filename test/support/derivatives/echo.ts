import { createHash } from 'node:crypto'
import { defineDerivative } from '#shared/assets/definition.ts'

/** A small result, made of all samples. */
export default defineDerivative({
  id: 'echo',
  version: 1,
  stage: 'analyze',
  title: 'A digest of the samples, for tests',
  files: { json: 'application/json' },
  result: true,
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render({ pcm, signal }) {
    const hash = createHash('sha256')
    for await (const piece of pcm.chunks(0, pcm.samples, { signal })) {
      hash.update(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength))
    }
    return { json: Buffer.from(JSON.stringify({ sha256: hash.digest('hex') })) }
  },
})
