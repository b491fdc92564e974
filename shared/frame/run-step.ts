import { abortWith, orAbort } from '../async/abort.ts'
import type { Bus, Delivery, Settlement } from '../bus/bus.ts'
import { asChainError, PermanentError, RestartError } from '../contracts/errors/chain.ts'
import { sentence } from '../contracts/errors/sentence.ts'
import type { StepEvent } from '../contracts/messages/event.ts'
import { HARD_LIMIT_MS, LONGEST_STEP_MS } from '../contracts/stages.ts'
import { DEAD_LETTER_TOPIC } from '../contracts/topology.ts'
import { type Counts, counting } from '../store/counting.ts'
import type { StoreDriver } from '../store/driver/driver.ts'
import { CORE_SHARE, hardLimit, type StopReason, unclear } from '../underway/hard-limit.ts'
import type { Moment, OwnTime } from '../underway/own-time.ts'
import { during, orFault } from '../underway/underway.ts'
import type { CancellableRun, Cancellations } from './cancellations.ts'
import { CancelledError, clearRun, settled } from './cancelled.ts'
import type { Claim, Cores } from './cores.ts'
import { ownAttributes, setAsideAs } from './dead-letter.ts'
import type { EventSink } from './events.ts'
import type { Next, Step, StepContext, Subject } from './step.ts'
import { countStops, type Stop, stopName, verdictOn as verdictOnStops } from './stops.ts'
import type { Log } from './telemetry/log.ts'
import type { Metrics } from './telemetry/metrics.ts'
import type { Tracing } from './telemetry/trace.ts'
import type { Breaker } from './upstreams/breaker.ts'

/** After this many attempts a fault that could pass is treated as permanent. */
export const MAX_ATTEMPTS = 20
/** A stop counts against a unit if it had this share of the hard limit; units before it had the rest. */
const UNIT_SHARE = 0.75

/** What the delivery loop needs. */
export interface DeliverDeps {
  readonly bus: Bus
  readonly events: EventSink
  readonly assets: StoreDriver
  readonly scratch: StoreDriver
  readonly log: Log
  readonly metrics: Metrics
  /** Tracing of deliveries. Default: off. */
  readonly tracing?: Tracing
  /** The cancellations that are known. Default: none. */
  readonly cancellations?: Cancellations
  /** The cores for work that computes. Default: not limited. */
  readonly cores?: Cores
  /** What the deliveries of this subscription claim cores with. Default: the claim of the lane `new`. */
  readonly claim?: Omit<Claim, 'isBegun'>
  /**
   * The topic of the deliveries, and how long one may wait for its first core, ms. Then its message is published again,
   * behind the others, and acked: waiting is no attempt. Default: it waits for as long as it takes.
   */
  readonly patience?: { readonly topic: string; readonly ms: number }
  /** Aborts when no more work may begin: deliveries that wait for their first core are given back. */
  readonly stopping: AbortSignal
  /** Aborts when running work has to be given back. */
  readonly aborting: AbortSignal
  /** While one of its upstreams is suspect, failures do not count. */
  readonly breaker: Pick<Breaker, 'isSuspect'>
  /** The hard limit, in ms of the step's own time. Default: the production limit, `HARD_LIMIT_MS`. */
  readonly hardLimitMs?: number
}

/** One delivery while it runs. */
interface Running {
  readonly delivery: Delivery
  readonly counts: Counts
  readonly own: OwnTime
  readonly charged: { pause(): void; resume(): void }
}

/** The result of a delivery. */
export interface Outcome {
  readonly settlement: Settlement
  readonly verdict: string
  readonly units?: readonly string[]
  readonly code?: string
  readonly sentence?: string
  readonly warnings?: Next['warnings']
  readonly request?: StepEvent['request']
  readonly accepted?: StepEvent['accepted']
  readonly subject?: Subject
}

/** Runs a step under its hard limit, publishes what follows, and cleans up. Never throws: a verdict is a value. */
export async function runAndFollow<In>(
  step: Step<In>,
  message: In,
  { delivery, counts, own, charged }: Running,
  deps: DeliverDeps,
): Promise<Outcome> {
  const stop = new AbortController()
  const limitMs = deps.hardLimitMs ?? HARD_LIMIT_MS
  const began = own.now()
  let stopped: StopReason | undefined
  const longestMs = Math.max(limitMs, LONGEST_STEP_MS)
  const clear = hardLimit(own, began, { limitMs, longestMs }, (why) => {
    stopped = why
    const ms = why === 'longest' ? longestMs : limitMs
    stop.abort(new Error(`stopped at the hard limit of ${ms / 1000} s`))
  })
  const release = abortWith(deps.aborting, stop)
  let isCancelled = false
  const cancellable = step.cancellable?.(message)
  const unwatch =
    cancellable &&
    deps.cancellations?.whenCancelled(cancellable, () => {
      isCancelled = true
      stop.abort(new CancelledError('the job was cancelled'))
    })
  let working: Promise<Next> | undefined
  const counted = (store: StoreDriver) => counting(store, counts, own.store)
  const stores = { assets: counted(deps.assets), scratch: counted(deps.scratch) }
  let made = 0
  const finished: string[] = []
  const given = (error: unknown): Outcome => ({ ...giveBack(error), units: finished })
  const stops = step.stops?.(message)
  let unit: { readonly stops: string; readonly began: Moment } | undefined
  let isBegun = false
  /** The core that an urgent step keeps until its end. */
  let kept: (() => void) | undefined
  const held = new Set<() => void>()

  async function takeCore(signal: AbortSignal): Promise<() => void> {
    const { cores, stopping } = deps
    if (cores === undefined) return () => {}
    charged.pause()
    const { signal: late, clear } = isBegun ? NEVER : afterWait(deps.patience)
    try {
      const until = isBegun ? signal : AbortSignal.any([signal, stopping, late])
      const giveBack = await own.away(() => cores.take(until, { ...deps.claim, isBegun }))
      isBegun = true
      held.add(giveBack)
      return () => {
        held.delete(giveBack)
        giveBack()
      }
    } finally {
      clear()
      charged.resume()
    }
  }
  const contextUntil = (signal: AbortSignal): StepContext => ({
    ...stores,
    signal,
    spentMs() {
      const { ownMs, coreMs } = own.since(began)
      return Math.max(ownMs, coreMs)
    },
    delivery,
    counted,
    finished: (unit) => void finished.push(unit),
    async onCore(act) {
      const giveBack = kept ?? (await takeCore(signal))
      // What took the core while an urgent step writes might keep it for 10 s, before each of its units.
      kept = deps.claim?.lane === 'urgent' ? giveBack : undefined
      try {
        signal.throwIfAborted()
        return await act()
      } finally {
        if (kept === undefined) giveBack()
      }
    },
    collected: () => deps.metrics.collected.add(1, { step: step.name }),
    async asUnit({ what, stops }, act) {
      unit = { stops, began: own.now() }
      try {
        return await during({ what, stops, own }, { isUnit: true }, act)
      } finally {
        // Kept when the step was stopped, because `countStop` needs the unit that was running.
        if (!stop.signal.aborted) unit = undefined
      }
    },
    async write(store, name, body, contentType) {
      const created = await stores[store].create(name, body, { contentType, signal })
      if (created === 'created') {
        made++
        deps.metrics.created.add(1, { store })
      }
      return created
    },
  })
  const context = contextUntil(stop.signal)
  // The work after a verdict must not be aborted by the hard limit that may have caused the verdict.
  const unhurried = contextUntil(deps.aborting)

  async function run(): Promise<Next> {
    if (stops !== undefined && delivery.attempt > 1) {
      const counts = await countStops(context.scratch, stops, stop.signal)
      const verdict = verdictOnStops(
        `the step ${step.name}`,
        counts.get(stops),
        step.stoppedCode,
      )
      if (verdict !== undefined) throw verdict
    }
    return step.run(message, context)
  }

  /** Counts a stop against the unit that had the time to itself, or against the step if it has made nothing. */
  async function countStop(stop: Stop): Promise<void> {
    const folder = unit === undefined ? (made === 0 ? stops : undefined) : unit.stops
    if (folder === undefined || (unit !== undefined && !hadTheTime(unit.began, stop))) return
    await unhurried.write('scratch', stopName(folder, stop), new Uint8Array(), 'text/plain')
  }

  function hadTheTime(unitBegan: Moment, stop: Stop): boolean {
    const { ownMs, coreMs } = own.since(unitBegan)
    const least = UNIT_SHARE * limitMs
    return ownMs >= least && (stop === 'idle' || coreMs >= CORE_SHARE * least)
  }

  function stoppedOnce(): PermanentError | undefined {
    if (!step.isStoppedOnce || stopped !== 'over' || made > 0) return undefined
    const words = `the step ${step.name} computed up to the hard limit of ${limitMs / 1000} s, and had made nothing by then`
    return new PermanentError(step.stoppedCode ?? 'OVER_BUDGET', words)
  }

  /** Nothing follows from a cancelled run, and nothing of it stays in scratch. */
  async function endCancelled(run: CancellableRun): Promise<Outcome> {
    try {
      await settled(working)
      await step.cancelled?.(message, unhurried)
      await clearRun(run, unhurried)
    } catch (error) {
      return given(error)
    }
    const sentence = 'the job was cancelled'
    const ended = { verdict: 'cancelled', code: 'CANCELLED', sentence, units: finished }
    return { settlement: 'ack', ...ended }
  }

  try {
    stop.signal.throwIfAborted()
    const work = { what: step.name, own, ...(stops === undefined ? {} : { stops }) }
    const next = await during(work, { isUnit: false }, () => {
      working = run()
      // A step that ignores the signal is abandoned, so that it does not block the queue.
      return orFault(orAbort(working, stop.signal))
    })
    return await follow(next, deps)
  } catch (thrown) {
    const error = asChainError(thrown)
    if (cancellable && isCancelled && !deps.aborting.aborted)
      return await endCancelled(cancellable)
    // Not the message's fault, no matter how often it has been delivered.
    const isGivenBack = deps.stopping.aborted && error === deps.stopping.reason
    if (deps.aborting.aborted || isGivenBack || error instanceof AfterwardsError)
      return given(error)
    try {
      if (error instanceof StarvedError) return await sendBehind(delivery, error, deps)
      if (error instanceof RestartError && step.restart !== undefined) {
        return await follow(await step.restart(message, error, unhurried), deps)
      }
      const once = stoppedOnce()
      const verdict =
        error instanceof PermanentError ? error : (once ?? gaveUp(error, delivery))
      const mayCount = stopped !== undefined || verdict !== undefined
      if (error !== verdict && mayCount && (await deps.breaker.isSuspect())) return given(error)
      if (stopped !== undefined && error !== verdict && once === undefined) {
        if (stopped === 'over' || stopped === 'idle') await countStop(stopped)
        const known = stopped === 'unclear' ? unclear(own.since(began)) : {}
        return { ...given(error), ...known }
      }
      if (verdict === undefined) return given(error)
      if (step.fail === undefined) {
        // The step takes no verdicts. A fault that may pass is retried as long as Pub/Sub delivers the message.
        const isPermanent = error instanceof PermanentError
        return isPermanent ? await setAside(step.name, delivery, error, deps) : given(error)
      }
      return await follow(await step.fail(message, verdict, unhurried), deps)
    } catch (second) {
      return given(second)
    }
  } finally {
    clear()
    unwatch?.()
    // A step that ignores its signal is abandoned, and keeps no core.
    for (const giveBack of held) giveBack()
    release()
  }
}

/** The verdict GAVE_UP on a fault that came at each of MAX_ATTEMPTS attempts; undefined before that. */
function gaveUp(error: unknown, { attempt }: Delivery): PermanentError | undefined {
  if (attempt < MAX_ATTEMPTS) return undefined
  const words = `${attempt} attempts; the last: ${sentence(error)}`
  return new PermanentError('GAVE_UP', words, { cause: error })
}

async function follow(next: Next, deps: DeliverDeps): Promise<Outcome> {
  await Promise.all(
    next.sends.map(({ topic, data, attributes }) =>
      deps.bus.publish(topic, { data, attributes }),
    ),
  )
  try {
    for (const act of next.afterwards ?? []) await act()
  } catch (error) {
    throw new AfterwardsError(sentence(error), { cause: error })
  }
  return { settlement: 'ack', ...next }
}

/** A step has waited for its first core for too long. */
class StarvedError extends Error {
  override readonly name = 'StarvedError'
  readonly topic: string

  constructor({ topic, ms }: NonNullable<DeliverDeps['patience']>) {
    super(`no core for ${ms / 1000} s: sent again, behind the others`)
    this.topic = topic
  }
}

const NEVER = { signal: new AbortController().signal, clear() {} }

/** Aborts when a step has waited too long for its first core. */
function afterWait(patience: DeliverDeps['patience']): typeof NEVER {
  if (patience === undefined) return NEVER
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new StarvedError(patience)), patience.ms)
  return { signal: late.signal, clear: () => clearTimeout(timer) }
}

/** Publishes a message again on its topic, and acks it: to give it back would count as an attempt. */
async function sendBehind(
  delivery: Delivery,
  { topic, message }: StarvedError,
  { bus }: DeliverDeps,
): Promise<Outcome> {
  const { data, attributes } = delivery
  await bus.publish(topic, { data, attributes: ownAttributes(attributes) })
  return { settlement: 'ack', verdict: 'retry', code: 'STARVED', sentence: message }
}

/** The messages of a step have been sent; only its clean-up has failed. */
class AfterwardsError extends Error {
  override readonly name = 'AfterwardsError'
}

function giveBack(error: unknown): Outcome {
  return { settlement: 'nack', verdict: 'retry', sentence: sentence(error) }
}

/** Publishes a message that can never be processed, unchanged, on the dead-letter topic, with the reason. */
export async function setAside(
  step: string,
  delivery: Delivery,
  error: unknown,
  { bus }: DeliverDeps,
): Promise<Outcome> {
  if (!(error instanceof PermanentError)) return giveBack(error)
  try {
    await bus.publish(DEAD_LETTER_TOPIC, setAsideAs(delivery, step, error))
  } catch (second) {
    return giveBack(second)
  }
  return {
    settlement: 'ack',
    verdict: 'dead-lettered',
    code: error.code,
    sentence: error.message,
  }
}
