import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in that never ends and obeys no signal. */
export default defineDerivative({
  id: 'hangs',
  version: 1,
  stage: 'analyze',
  title: 'Never ends, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  render: () => new Promise<never>(() => {}),
})
