import { defineDerivative } from '#shared/derivative.ts'

/** A plug-in that never lets go of the event loop. */
export default defineDerivative({
  id: 'spin',
  version: 1,
  stage: 'analyze',
  title: 'Loops without await, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    for (;;) {}
  },
})
