import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in whose file has no end. */
export default defineDerivative({
  id: 'overflows',
  version: 1,
  stage: 'encode',
  title: 'Gives more than it promises, without end, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    const txt = {
      byteLength: 10,
      async *[Symbol.asyncIterator]() {
        for (;;) yield Buffer.from('more')
      },
    }
    return { txt }
  },
})
