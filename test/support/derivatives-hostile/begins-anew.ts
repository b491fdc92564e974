import { defineDerivative } from '#shared/assets/definition.ts'
import { RestartError } from '#shared/contracts/errors/chain.ts'

/** A plug-in that says what only the chain may say. */
export default defineDerivative({
  id: 'begins-anew',
  version: 1,
  stage: 'encode',
  title: 'Throws what would make the run begin anew, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    throw new RestartError('SCRATCH_MISSING', 'this plug-in says so')
  },
})
