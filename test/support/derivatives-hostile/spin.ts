import { setTimeout as sleep } from 'node:timers/promises'
import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in that never lets go of the event loop. */
export default defineDerivative({
  id: 'spin',
  version: 1,
  stage: 'analyze',
  title: 'Loops without await, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    // Not at once: by now other steps may have begun.
    await sleep(20)
    for (;;) {}
  },
})
