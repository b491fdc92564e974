import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in that wants an end. */
export default defineDerivative({
  id: 'shoots-itself',
  version: 1,
  stage: 'encode',
  title: 'Kills the process, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    process.kill(process.pid, 'SIGKILL')
    return new Promise<never>(() => {})
  },
})
