import { url as debuggerUrl } from 'node:inspector'
import { getHeapStatistics } from 'node:v8'
import { Worker } from 'node:worker_threads'
import { blamedOf, onEntered } from '../underway/underway.ts'

/** The interval of beats, ms. */
const BEAT_MS = 250
/** How long the event loop may stand still, ms of its own time: 50 times as long as an asset may block it. */
const STANDSTILL_MS = 5_000
/** The maximum size of the text about the running work, bytes. */
const MAX_BYTES = 4096
/** V8's heap limit includes the young generation, which long-lived objects cannot use: at most three times 64 MiB. */
const YOUNG = { mb: 201, leastShare: 0.6 }

interface HeartbeatOptions {
  /** The name of the service in its log lines. */
  readonly service: string
  /** The URI of scratch, where stops are counted. Default: none, for a process that runs no steps. */
  readonly scratch?: string
  /** The endpoint of Cloud Storage. Default: Google's. */
  readonly storage?: string
  /** How long the event loop may stand still, ms of its own time. Default: 5,000. */
  readonly limitMs?: number
}

/**
 * The data of the watching thread. `shared` has five Int32: the number of beats; whether a debugger may hold the
 * process; the bytes of the text; the MB of the heap and of the process at the last beat. The text follows them.
 */
export interface WatchData extends Required<HeartbeatOptions> {
  readonly shared: SharedArrayBuffer
  readonly pid: number
  /** The maximum heap of the main thread, MB. */
  readonly heapMb: number
}

export const BEATS = 0
export const DEBUGGED = 1
export const TEXT_BYTES = 2
export const HEAP_MB = 3
export const PROCESS_MB = 4
export const TEXT_AT = 20

/**
 * Starts a thread that watches the event loop of this process. It ends the process when the loop stands still, because
 * time limits and signals live on the loop and have no effect then; and when the memory is nearly used up, which would
 * end the process without a log line. It leaves a stop in scratch for the work whose code was running. The returned
 * function ends the watch.
 */
export function startHeartbeat({
  scratch = '',
  storage = '',
  limitMs = STANDSTILL_MS,
  ...options
}: HeartbeatOptions): () => Promise<unknown> {
  const shared = new SharedArrayBuffer(TEXT_AT + MAX_BYTES)
  const numbers = new Int32Array(shared, 0, 5)
  const text = new Uint8Array(shared, TEXT_AT)
  const beat = () => {
    Atomics.add(numbers, BEATS, 1)
    Atomics.store(numbers, DEBUGGED, debuggerUrl() === undefined ? 0 : 1)
    Atomics.store(numbers, HEAP_MB, getHeapStatistics().used_heap_size / 1e6)
    Atomics.store(numbers, PROCESS_MB, process.memoryUsage.rss() / 1e6)
  }
  beat()
  const timer = setInterval(beat, BEAT_MS).unref()
  // For code that no debugger can interrupt, such as a system call: the work that was entered last is the best guess.
  onEntered((latest) => {
    const bytes =
      latest?.stops === undefined ? undefined : Buffer.from(JSON.stringify(blamedOf(latest)))
    const fits = bytes !== undefined && bytes.length <= MAX_BYTES
    if (fits) text.set(bytes)
    Atomics.store(numbers, TEXT_BYTES, fits ? bytes.length : 0)
  })
  const limit = getHeapStatistics().heap_size_limit / 1e6
  const heapMb = Math.max(limit - YOUNG.mb, YOUNG.leastShare * limit)
  const { pid } = process
  const data: WatchData = { ...options, scratch, storage, limitMs, shared, pid, heapMb }
  const watcher = new Worker(new URL('./watcher.ts', import.meta.url), {
    workerData: data,
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 },
  })
  watcher.unref()
  return () => {
    clearInterval(timer)
    return watcher.terminate()
  }
}
