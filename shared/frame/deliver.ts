import type { Delivery, Settlement } from '../bus/bus.ts'
import { sentence } from '../contracts/errors/sentence.ts'
import { MAX_UNITS, type StepEvent } from '../contracts/messages/event.ts'
import { HARD_LIMIT_MS } from '../contracts/stages.ts'
import { type Counts, noCounts } from '../store/counting.ts'
import { lateBy } from '../underway/hard-limit.ts'
import { LostTime } from '../underway/lost-time.ts'
import { OwnTime } from '../underway/own-time.ts'
import { newEvent } from './events.ts'
import { type DeliverDeps, type Outcome, runAndFollow, setAside } from './run-step.ts'
import type { Step, Subject } from './step.ts'
import { atZero } from './telemetry/metrics.ts'
import { type Span, TRACEPARENT, tracedBus, UNTRACED } from './telemetry/trace.ts'

export { type DeliverDeps, MAX_ATTEMPTS } from './run-step.ts'

/** The verdicts of deliveries in which nothing went wrong. */
const GOOD: readonly string[] = ['accepted', 'done', 'skipped', 'cancelled']

/**
 * The handler of one step's subscription: parse → run (outputs before inputs, under the hard limit) → write → publish
 * → ack. Each phase may be repeated after a crash; none is ever skipped. The handler never throws.
 */
export function delivering<In>(
  step: Step<In>,
  given: DeliverDeps,
): (delivery: Delivery) => Promise<Settlement> {
  const { metrics, tracing = UNTRACED } = given
  const labels = { step: step.name }
  const { running, requeued, coreSeconds, collected } = metrics
  for (const counter of [running, requeued, coreSeconds, collected]) atZero(counter, [labels])
  const lost = new LostTime()
  return async (delivery) => {
    const birth = newEvent(step.name, delivery.attempt)
    const counts = noCounts()
    const span = tracing.begin(step.name, 'message', delivery.attributes[TRACEPARENT])
    const deps = { ...given, bus: tracedBus(given.bus, span) }
    metrics.running.add(1, labels)
    let subject: Partial<Subject> | undefined
    let outcome: Outcome
    const stopWatching = lost.watch()
    const own = new OwnTime(lost)
    const began = own.now()
    const charged = metrics.coreTime.begin()
    try {
      const message = step.input.parse(delivery.data)
      subject = step.subject(message, delivery)
      deps.stopping.throwIfAborted()
      outcome = await runAndFollow(step, message, { delivery, counts, own, charged }, deps)
    } catch (error) {
      outcome = await setAside(step.name, delivery, error, deps)
    }
    const spent = own.since(began)
    stopWatching()
    outcome = {
      ...lateBy(spent, deps.hardLimitMs ?? HARD_LIMIT_MS, counts.bytesRead),
      ...outcome,
    }
    const ms = Math.round(spent.wallMs)
    const coreMs = charged.end()
    const event: StepEvent = {
      ...birth,
      ...(outcome.subject ?? subject),
      ...reported(outcome),
      ...measured(counts),
      ms,
      cpu_ms: Math.round(coreMs * 100) / 100,
    }
    const settlement = await settle(event, outcome, deps)
    metrics.running.add(-1, labels)
    metrics.coreSeconds.add(coreMs / 1000, labels)
    metrics.stepSeconds.record(ms / 1000, { ...labels, verdict: outcome.verdict })
    if (settlement === 'nack') metrics.requeued.add(1, labels)
    endSpan(span, event, delivery)
    const line = { ...event, settlement, message_id: delivery.id }
    if (GOOD.includes(outcome.verdict)) deps.log.info(line, step.name)
    else deps.log.warn(line, `${step.name}: ${outcome.sentence ?? outcome.verdict}`)
    return settlement
  }
}

/** The part of an event that says what came of the delivery. */
function reported({
  verdict,
  units = [],
  request,
  accepted,
  code,
  sentence: words,
  warnings = [],
}: Outcome) {
  return {
    verdict,
    units: units.slice(0, MAX_UNITS),
    ...(request === undefined ? {} : { request }),
    ...(accepted === undefined ? {} : { accepted }),
    ...(code === undefined ? {} : { code }),
    ...(words === undefined ? {} : { sentence: words.slice(0, 2000) }),
    ...(warnings.length === 0 ? {} : { warnings: [...warnings] }),
  }
}

/** The part of an event that says what the delivery asked of stores. */
function measured(counts: Counts): Partial<StepEvent> {
  const { operations, bytesRead, bytesWritten, bytesFromCloud, bytesToCloud } = counts
  return {
    store_operations: operations,
    bytes_read: bytesRead,
    bytes_written: bytesWritten,
    bytes_from_cloud: bytesFromCloud,
    bytes_to_cloud: bytesToCloud,
  }
}

/** Ends a span with the facts of an event, under OpenTelemetry's names where they exist. */
function endSpan(span: Span, event: StepEvent, { id, attempt }: Delivery): void {
  const { verdict, job, track, run, route, code, sentence: words } = event
  const facts = {
    'messaging.system': 'gcp_pubsub',
    'messaging.operation.type': 'process',
    'messaging.message.id': id,
    'messaging.gcp_pubsub.message.delivery_attempt': attempt,
    'error.type': code,
    'trackchain.verdict': verdict,
    'trackchain.job': job,
    'trackchain.track': track,
    'trackchain.run': run,
    'trackchain.route': route,
  }
  span.end(facts, GOOD.includes(verdict) ? undefined : (words ?? verdict))
}

/** Publishes the event before the ack: a gap in the history would be worse than a step that is done twice. */
async function settle(
  event: StepEvent,
  outcome: Outcome,
  { events, log }: DeliverDeps,
): Promise<Settlement> {
  try {
    await events.report(event)
    return outcome.settlement
  } catch (error) {
    log.warn({ error: sentence(error) }, 'the event could not be published')
    return 'nack'
  }
}
