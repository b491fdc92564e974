import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in without a fault. */
export default defineDerivative({
  id: 'plain',
  version: 1,
  stage: 'encode',
  title: 'Its length in words, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render({ pcm }) {
    return { txt: Buffer.from(`${pcm.samples} samples`) }
  },
})
