import { readFileSync, writeSync } from 'node:fs'
import { totalmem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { workerData } from 'node:worker_threads'
import { sentence } from '../contracts/errors/sentence.ts'
import { type Held, Interrupter } from '../underway/interrupt.ts'
import { scheduledThread } from '../underway/scheduled.ts'
import type { Blamed } from '../underway/underway.ts'
import {
  BEATS,
  DEBUGGED,
  HEAP_MB,
  PROCESS_MB,
  TEXT_AT,
  TEXT_BYTES,
  type WatchData,
} from './heartbeat.ts'
import { type Stop, stopName } from './stops.ts'

// The thread that watches the event loop of its process: see `startHeartbeat`.

/** The interval of samples, ms. A longer gap counts as two, because this thread itself may be kept waiting. */
const SAMPLE_MS = 250
/** While the loop stands still, the running code is sampled this many times before the process is ended. */
const SAMPLES = 3
/** The shares of its heap and of its container's memory beyond which a process is about to be killed anyway. */
const MAX_MEMORY = { heap: 0.8, container: 0.9 }
/** The share of a machine that others use as well; at least `leastMb`, which is more than any step needs. */
const MAX_OF_MACHINE = { share: 0.3, leastMb: 4000 }
/** The interval of memory checks, ms: memory fills at up to 1 GB/s. */
const MEMORY_MS = 100
/** The time limit for writing a stop, ms. If the store does not answer, the stop is not counted. */
const WRITE_MS = 5_000
/** From asking the loop to end the process until the process is killed, ms. */
const EXIT_MS = 3_000
/** The exit code of the process: EX_TEMPFAIL, because its messages have to be delivered again. */
const EXIT_CODE = 75

const { shared, pid, limitMs, heapMb, service, scratch, storage } = workerData as WatchData
const numbers = new Int32Array(shared, 0, 5)
const machineMb = totalmem() / 1e6
const containerMb = process.constrainedMemory() / 1e6
const mostMb = Math.min(
  Math.max(MAX_OF_MACHINE.share * machineMb, MAX_OF_MACHINE.leastMb),
  containerMb > 0 ? MAX_MEMORY.container * containerMb : Number.POSITIVE_INFINITY,
)

let beats = -1
let stoodMs = 0
let before = sample()
let interrupter: Interrupter | undefined
/** For each sample since the loop stands still: the folder in which the stops of the running work are counted. */
let found: (string | undefined)[] = []
for (;;) {
  const due = performance.now() + SAMPLE_MS
  for (; performance.now() < due; await sleep(MEMORY_MS)) if (isFull()) await end('full')
  const now = sample()
  const isBeating = Atomics.load(numbers, BEATS) !== beats
  stoodMs =
    isBeating || Atomics.load(numbers, DEBUGGED) === 1 ? 0 : stoodMs + between(before, now)
  beats = Atomics.load(numbers, BEATS)
  before = now
  if (stoodMs === 0) {
    interrupter?.end()
    interrupter = undefined
    found = []
  } else if (found.length < SAMPLES && !now.isAsleep) {
    if (stoodMs < ((found.length + 1) * limitMs) / (SAMPLES + 1)) continue
    interrupter ??= newInterrupter()
    found.push((await interrupter?.sample())?.stops)
  } else if (stoodMs >= limitMs) await end('still')
}

interface Seen {
  readonly at: number
  readonly coreMs: number
  readonly waitedMs: number
  /** Whether the thread waits for something, e.g. in a system call. */
  readonly isAsleep: boolean
}

/** The times of the main thread so far, and whether it is asleep. */
function sample(): Seen {
  const at = performance.now()
  const thread = scheduledThread(`self/task/${pid}`)
  if (thread !== undefined) return { at, ...thread, isAsleep: isAsleep() }
  // The time of all threads, where the system does not report that of one.
  const { user, system } = process.cpuUsage()
  return { at, coreMs: (user + system) / 1000, waitedMs: 0, isAsleep: false }
}

/** The loop's own time between two samples, ms: on a core or asleep, but not waiting for a core. */
function between(then: Seen, now: Seen): number {
  const coreMs = now.coreMs - then.coreMs
  if (!now.isAsleep) return coreMs
  const asleepMs =
    Math.min(now.at - then.at, 2 * SAMPLE_MS) - coreMs - (now.waitedMs - then.waitedMs)
  return coreMs + Math.max(0, asleepMs)
}

function isAsleep(): boolean {
  const stat = readFileSync(`/proc/self/task/${pid}/stat`, 'latin1')
  // The state follows the name, which is in parentheses and may contain anything.
  return stat.charAt(stat.lastIndexOf(')') + 2) === 'S'
}

/** Whether the memory is nearly used up. The heap is known at each beat; growth since then counts as heap. */
function isFull(): boolean {
  const mb = process.memoryUsage.rss() / 1e6
  const since = Math.max(0, mb - Atomics.load(numbers, PROCESS_MB))
  const heap = Atomics.load(numbers, HEAP_MB) + since
  return heap > MAX_MEMORY.heap * heapMb || mb > mostMb
}

/** Leaves a stop in scratch and ends the process. */
async function end(why: 'still' | 'full'): Promise<never> {
  interrupter ??= newInterrupter()
  const held = await interrupter?.hold()
  const blamed = (held?.blamed?.stops === undefined ? lastEntered() : undefined) ?? held?.blamed
  const where = held === undefined ? 'code that cannot be interrupted' : held.where
  const so =
    why === 'still'
      ? `the event loop has stood still for ${limitMs / 1000} s`
      : 'the memory is nearly used up'
  const words = `${so}, in ${where}`
  const facts = { work: blamed?.what, stops: blamed?.stops }
  const line = { severity: 'CRITICAL', time: new Date().toISOString(), service, ...facts }
  say({ ...line, message: `${words}: the process is ended` })
  try {
    if (blamed?.stops !== undefined)
      await leaveStop(blamed.stops, why === 'full' ? 'full' : stopOf(held))
  } catch (error) {
    say({ ...line, message: `the stop could not be counted: ${sentence(error)}` })
  }
  held?.exit(EXIT_CODE)
  await sleep(EXIT_MS)
  // The first process of a container ignores even SIGKILL from inside. Then the kubelet's liveness probe has to end it.
  for (;;) {
    process.kill(pid, 'SIGKILL')
    await sleep(EXIT_MS)
  }
}

function newInterrupter(): Interrupter | undefined {
  try {
    return new Interrupter()
  } catch {
    return undefined
  }
}

/** One sample may find other code by chance; if all samples find the same work, it is the one that holds the loop. */
function stopOf(held: Held | undefined): Stop {
  const stops = held?.blamed?.stops
  return found.length >= SAMPLES && found.every((each) => each === stops) ? 'held' : 'still'
}

/** Writes a stop. The store is loaded only here, because most processes never need it in this thread. */
async function leaveStop(folder: string, stop: Stop): Promise<void> {
  const { openStore } = await import('../store/open.ts')
  const store = openStore(scratch, storage === '' ? {} : { apiEndpoint: storage })
  const options = { contentType: 'text/plain', signal: AbortSignal.timeout(WRITE_MS) }
  await store.create(stopName(folder, stop), new Uint8Array(), options)
}

/** The work that the loop entered last, as the loop itself has recorded. */
function lastEntered(): Blamed | undefined {
  const length = Atomics.load(numbers, TEXT_BYTES)
  if (length === 0) return undefined
  const bytes = Buffer.from(new Uint8Array(shared, TEXT_AT, length))
  return JSON.parse(bytes.toString())
}

/** Writes a log line directly, because the loop writes none any more. */
function say(line: object): void {
  try {
    writeSync(1, `${JSON.stringify(line)}\n`)
  } catch {
    // The reader has gone.
  }
}
