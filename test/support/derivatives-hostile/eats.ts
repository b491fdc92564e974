import { setTimeout as sleep } from 'node:timers/promises'
import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in that keeps all that it makes, and makes more. */
export default defineDerivative({
  id: 'eats',
  version: 1,
  stage: 'analyze',
  title: 'Takes ever more memory, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  async render() {
    for (const all: number[][] = []; ; await sleep(20))
      all.push(new Array(300_000).fill(all.length + 0.5))
  },
})
