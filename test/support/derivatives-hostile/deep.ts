import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in whose result has no bottom. */
export default defineDerivative({
  id: 'deep',
  version: 1,
  stage: 'analyze',
  title: 'Gives a result of thousands of levels, for tests',
  files: { json: 'application/json' },
  result: true,
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    return { json: Buffer.from('['.repeat(9000) + ']'.repeat(9000)) }
  },
})
