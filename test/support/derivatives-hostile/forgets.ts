import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in that waits for none of its promises. */
export default defineDerivative({
  id: 'forgets',
  version: 1,
  stage: 'analyze',
  title: 'Forgets a promise that rejects, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    void Promise.reject(new Error('this plug-in has forgotten something'))
    return { txt: Buffer.from('made') }
  },
})
