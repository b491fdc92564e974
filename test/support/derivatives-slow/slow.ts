import { appendFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineDerivative } from '#shared/assets/definition.ts'

const { SLOW_SECONDS = '1', SLOW_LOG } = process.env

/** Takes its time, and writes a line to the file SLOW_LOG when it begins. */
export default defineDerivative({
  id: 'slow',
  version: 1,
  stage: 'analyze',
  title: 'Waits for SLOW_SECONDS, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render({ signal }) {
    if (SLOW_LOG !== undefined) await appendFile(SLOW_LOG, 'begun\n')
    await sleep(Number(SLOW_SECONDS) * 1000, undefined, { signal })
    return { txt: Buffer.from('slow') }
  },
})
