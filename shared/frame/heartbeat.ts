import { url as debuggerUrl } from 'node:inspector'
import { getHeapStatistics } from 'node:v8'
import { Worker } from 'node:worker_threads'
import { blamedOf, onEntered } from '../underway/underway.ts'

const BEAT_MS = 250
/** How long the loop may stand still, ms of its own time: fifty times what an asset may hold it for. */
const STANDSTILL_MS = 5_000
const MAX_BYTES = 4096
/** Of what V8 says a heap may be this is for what is young, and does not help what stays: three times 64 MiB at most. */
const YOUNG = { mb: 201, leastShare: 0.6 }

interface HeartbeatOptions {
  /** As its log lines name it. */
  readonly service: string
  /** Where stops are counted: the URI of scratch. For a process that runs no steps none is needed. */
  readonly scratch?: string
  /** Of Cloud Storage, where it is another than Google's. */
  readonly storage?: string
  /** How long the loop may stand still, ms of its own time; STANDSTILL_MS unless told. */
  readonly limitMs?: number
}

/**
 * What the watching thread gets. Numbers: beats; whether a debugger may hold us; bytes of text, which follows; MB of
 * the heap, and of the process, at the last beat.
 */
export interface WatchData extends Required<HeartbeatOptions> {
  readonly shared: SharedArrayBuffer
  readonly pid: number
  /** What the heap of the main thread may be, MB. */
  readonly heapMb: number
}

export const BEATS = 0
export const DEBUGGED = 1
export const TEXT_BYTES = 2
export const HEAP_MB = 3
export const PROCESS_MB = 4
export const TEXT_AT = 20

/**
 * Has a thread watch the event loop of this process, and end the process when it stands still: then nothing that lives
 * on the loop can, neither a limit nor a signal; and when its memory is nearly used up, which would end it without a
 * word. Whose code it was is left in scratch as a stop. What is returned ends the watch.
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
  // For code that no debugger can interrupt, such as a system call: then this is the best that is known.
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
