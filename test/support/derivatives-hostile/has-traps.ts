import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in whose file, and whose error, throw when they are looked at. */
export default defineDerivative({
  id: 'has-traps',
  version: 1,
  stage: 'analyze',
  title: 'Renders what throws, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    return {
      get txt(): never {
        throw Object.defineProperty(new Error('this plug-in is not to be looked at'), 'cause', {
          get() {
            throw new Error('nor is its cause')
          },
        })
      },
    }
  },
})
