import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in with a fault that shows as its file is written. */
export default defineDerivative({
  id: 'breaks-off',
  version: 1,
  stage: 'encode',
  title: 'Throws in the middle of its file, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    return {
      txt: {
        byteLength: 10,
        async *[Symbol.asyncIterator]() {
          yield Buffer.from('half')
          throw new TypeError('this plug-in breaks off')
        },
      },
    }
  },
})
