// A worker of analysis that never ends when it is asked about a track of 0 samples: an endless loop in WebAssembly,
// as in a library with a fault. Anything else is answered at once.
import { parentPort, workerData } from 'node:worker_threads'
import { ownThread } from '#shared/underway/scheduled.ts'

// What it computes is counted by its thread, as that of any worker of analysis.
workerData[0] = ownThread()

/** (module (func (export "forever") (loop (br 0)))) */
const MODULE = Buffer.from(
  '0061736d0100000001040160000003020100070b0107666f726576657200000a0901070003400c000b0b',
  'hex',
)

// The compiler knows no browsers here.
declare const WebAssembly: {
  instantiate(module: Uint8Array): Promise<{ instance: { exports: Record<string, unknown> } }>
}

parentPort?.on('message', async ({ input }: { input: unknown }) => {
  if (input === 0) {
    const { instance } = await WebAssembly.instantiate(MODULE)
    ;(instance.exports.forever as () => void)()
  }
  parentPort?.postMessage({ output: [] })
})
