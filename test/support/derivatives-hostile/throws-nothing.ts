import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in that throws what has no words. */
export default defineDerivative({
  id: 'throws-nothing',
  version: 1,
  stage: 'encode',
  title: 'Throws what is no Error, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    throw Object.create(null)
  },
})
