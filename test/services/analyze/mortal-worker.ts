/** A worker that answers `listen` of 0, exits at 1, and runs out of order at 2. */
import { parentPort } from 'node:worker_threads'

parentPort?.on('message', ({ input }: { input: number }) => {
  if (input === 1) process.exit(3)
  if (input === 2) {
    setImmediate(() => {
      throw new RangeError('out of order')
    })
    return
  }
  parentPort?.postMessage({ output: [] })
})
