import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in that takes itself for a program that has gone wrong. */
export default defineDerivative({
  id: 'aborts',
  version: 1,
  stage: 'analyze',
  title: 'Aborts the process, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    process.abort()
  },
})
