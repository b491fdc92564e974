import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in that throws when it has been made already: nothing can be said of it any more. */
export default defineDerivative({
  id: 'too-late',
  version: 1,
  stage: 'analyze',
  title: 'Throws when all is done, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    setTimeout(() => {
      throw new Error('this plug-in throws too late')
    }, 1000)
    return { txt: Buffer.from('made') }
  },
})
