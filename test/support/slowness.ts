import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'

/** What the loop below takes on one idle core of the machine that the tests' limits were set on, in ms. */
const REFERENCE_MS = 225
const ROUNDS = 30_000_000
const LOOP = `
const began = performance.now()
let sum = 0
for (let i = 0; i < ${ROUNDS}; i++) sum = (Math.imul(sum, 31) + i) | 0
require('node:worker_threads').parentPort.postMessage([performance.now() - began, sum])`

/**
 * How many times longer a fixed piece of work takes than on the reference, with every core asked for at
 * once, as the tests will: a slow machine and one that is busy with other things give a number above 1.
 * Takes a quarter of a second where all is idle.
 */
export async function measuredSlowness(): Promise<number> {
  const took = await Promise.all(
    Array.from({ length: availableParallelism() }, async () => {
      const worker = new Worker(LOOP, { eval: true })
      const [[ms]] = (await once(worker, 'message')) as [[number]]
      return ms
    }),
  )
  return Math.max(1, Math.max(...took) / REFERENCE_MS)
}
