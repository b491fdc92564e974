import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in whose file is not as long as it says. */
export default defineDerivative({
  id: 'short',
  version: 1,
  stage: 'encode',
  title: 'Promises ten bytes and gives four, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    return {
      txt: {
        byteLength: 10,
        async *[Symbol.asyncIterator]() {
          yield Buffer.from('half')
        },
      },
    }
  },
})
