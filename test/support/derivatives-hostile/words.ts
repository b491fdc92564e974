import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in whose file is made of words. */
export default defineDerivative({
  id: 'words',
  version: 1,
  stage: 'encode',
  title: 'Gives pieces that are no bytes, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    const txt = {
      byteLength: 10,
      async *[Symbol.asyncIterator]() {
        yield 'ten  bytes' as unknown as Uint8Array
      },
    }
    return { txt }
  },
})
