import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in whose fault leads back to itself. */
export default defineDerivative({
  id: 'circles',
  version: 1,
  stage: 'encode',
  title: 'Throws an Error that causes itself, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    const error = new Error('this plug-in goes round')
    error.cause = error
    throw error
  },
})
