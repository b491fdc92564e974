import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in with a fault of its own. */
export default defineDerivative({
  id: 'broken',
  version: 1,
  stage: 'analyze',
  title: 'Always throws, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    throw new TypeError('this plug-in is broken')
  },
})
