import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in whose result nobody can read. */
export default defineDerivative({
  id: 'mumbles',
  version: 1,
  stage: 'analyze',
  title: 'Gives a result that is no JSON, for tests',
  files: { json: 'application/json' },
  result: true,
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    return { json: Buffer.from('BPM: about 120') }
  },
})
