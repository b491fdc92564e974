import { readFileSync, writeSync } from 'node:fs'
import { totalmem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { workerData } from 'node:worker_threads'
import { sentence } from '../contracts/errors/chain.ts'
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

/** From one look to the next, ms; more counts no more, for this thread may be kept waiting itself. */
const LOOK_MS = 250
/** So often it is looked whose code runs, while the loop stands still, before the process is ended in it. */
const LOOKS = 3
/** Of its heap, and of what its container may have, a process that takes more is about to be ended anyway. */
const MAX_MEMORY = { heap: 0.8, container: 0.9 }
/** Of a machine that others use as well; more than any step needs. */
const MAX_OF_MACHINE = { share: 0.3, leastMb: 4000 }
/** From one look at the memory to the next, ms: it fills at up to 1 GB/s. */
const MEMORY_MS = 100
/** The stop has to be written within so long, ms: if the store is away it is not counted. */
const WRITE_MS = 5_000
/** From asking the loop to end the process until it is killed, ms. */
const EXIT_MS = 3_000
/** What the process exits with: its messages have to come again (EX_TEMPFAIL). */
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
let before = look()
let interrupter: Interrupter | undefined
/** Whose code ran at each look since the loop stands still, as the folder where its stops are counted. */
let found: (string | undefined)[] = []
for (;;) {
  for (const due = performance.now() + LOOK_MS; performance.now() < due; await sleep(MEMORY_MS))
    if (isFull()) await end('full')
  const now = look()
  const isBeating = Atomics.load(numbers, BEATS) !== beats
  stoodMs =
    isBeating || Atomics.load(numbers, DEBUGGED) === 1 ? 0 : stoodMs + between(before, now)
  beats = Atomics.load(numbers, BEATS)
  before = now
  if (stoodMs === 0) {
    interrupter?.end()
    interrupter = undefined
    found = []
  } else if (found.length < LOOKS && !now.isAsleep) {
    if (stoodMs < ((found.length + 1) * limitMs) / (LOOKS + 1)) continue
    interrupter ??= newInterrupter()
    found.push((await interrupter?.look())?.stops)
  } else if (stoodMs >= limitMs) await end('still')
}

interface Seen {
  readonly at: number
  readonly coreMs: number
  readonly waitedMs: number
  /** Whether it waits for something, be it in a system call. */
  readonly isAsleep: boolean
}

function look(): Seen {
  const at = performance.now()
  const thread = scheduledThread(`self/task/${pid}`)
  if (thread !== undefined) return { at, ...thread, isAsleep: isAsleep() }
  // Of all threads, where the system does not tell of one.
  const { user, system } = process.cpuUsage()
  return { at, coreMs: (user + system) / 1000, waitedMs: 0, isAsleep: false }
}

/** The loop's own time from one look to the next, ms: on a core, or asleep. Not what it waits for a core. */
function between(then: Seen, now: Seen): number {
  const coreMs = now.coreMs - then.coreMs
  if (!now.isAsleep) return coreMs
  const asleepMs =
    Math.min(now.at - then.at, 2 * LOOK_MS) - coreMs - (now.waitedMs - then.waitedMs)
  return coreMs + Math.max(0, asleepMs)
}

function isAsleep(): boolean {
  const stat = readFileSync(`/proc/self/task/${pid}/stat`, 'latin1')
  // Behind the name in parentheses, which may hold anything.
  return stat.charAt(stat.lastIndexOf(')') + 2) === 'S'
}

/** Whether the memory is nearly used up. The heap is told at each beat; what has come since is taken to be of it. */
function isFull(): boolean {
  const mb = process.memoryUsage.rss() / 1e6
  const since = Math.max(0, mb - Atomics.load(numbers, PROCESS_MB))
  const heap = Atomics.load(numbers, HEAP_MB) + since
  return heap > MAX_MEMORY.heap * heapMb || mb > mostMb
}

/** Leaves the stop in scratch, and ends the process. */
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
  // The first process of a container hears nothing from within it, not even this: then the kubelet's probe is left.
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

/** One look may find what runs by chance, beside what lets nothing else run; so many, all the same, do not. */
function stopOf(held: Held | undefined): Stop {
  const stops = held?.blamed?.stops
  return found.length >= LOOKS && found.every((each) => each === stops) ? 'held' : 'still'
}

/** Only now: most threads never need a store. */
async function leaveStop(folder: string, stop: Stop): Promise<void> {
  const { openStore } = await import('../store/open.ts')
  const store = openStore(scratch, storage === '' ? {} : { apiEndpoint: storage })
  const options = { contentType: 'text/plain', signal: AbortSignal.timeout(WRITE_MS) }
  await store.create(stopName(folder, stop), new Uint8Array(), options)
}

/** What the loop has entered last, as it has said itself. */
function lastEntered(): Blamed | undefined {
  const length = Atomics.load(numbers, TEXT_BYTES)
  if (length === 0) return undefined
  const bytes = Buffer.from(new Uint8Array(shared, TEXT_AT, length))
  return JSON.parse(bytes.toString())
}

/** The loop writes no more lines. */
function say(line: object): void {
  try {
    writeSync(1, `${JSON.stringify(line)}\n`)
  } catch {
    // Nobody reads us any more.
  }
}
