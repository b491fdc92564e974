import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in that takes itself for a program. */
export default defineDerivative({
  id: 'exits',
  version: 1,
  stage: 'encode',
  title: 'Ends the process, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    process.exit(3)
  },
})
