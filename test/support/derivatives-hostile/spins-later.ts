import { defineDerivative } from '#shared/derivative.ts'

/** A plug-in that holds the event loop in a timer, when others may have gone on. */
export default defineDerivative({
  id: 'spins-later',
  version: 1,
  stage: 'analyze',
  title: 'Loops in a timer, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  render: () =>
    new Promise<never>(() => {
      setTimeout(() => {
        for (;;) {}
      }, 50)
    }),
})
