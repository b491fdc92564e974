import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in that throws in a timer while it is waited for. */
export default defineDerivative({
  id: 'late',
  version: 1,
  stage: 'analyze',
  title: 'Throws in a timer, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  render: () =>
    new Promise<never>(() => {
      setTimeout(() => {
        throw new Error('this plug-in throws late')
      }, 50)
    }),
})
