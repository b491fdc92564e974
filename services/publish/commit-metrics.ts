import type { Delivery, Settlement } from '#shared/bus/bus.ts'
import type { EventCount } from '#shared/catalogue/events/record-events.ts'
import { perStage } from '#shared/contracts/stages.ts'
import { atZero, type Metrics } from '#shared/frame/telemetry/metrics.ts'

const MAKING = 'done skipped failed retry restarted dead-lettered'
/**
 * The known events by step. Any publisher may send others; a step or verdict that is not known counts as
 * `other`.
 */
const EVENTS = Object.entries({
  ingest: 'accepted retry dead-lettered',
  ...perStage(() => MAKING),
  publish: 'done skipped retry dead-lettered',
  dispatch: 'done failed retry dead-lettered collected',
  recorder: 'dead-lettered',
  watchdog: 'swept',
  operator: 'redriven discarded',
}).flatMap(([step, verdicts]) => verdicts.split(' ').map((verdict) => ({ step, verdict })))
const STEPS = [...new Set(EVENTS.map(({ step }) => step))]
const OTHER = 'other'

/** Counts what commits have added. Each addition is reported once, after its commit. */
export interface Additions {
  /** An asset was recorded as made. */
  made(asset: string): void
  /** The verdict that an asset has failed was recorded. */
  failed(asset: string): void
  recorded(events: EventCount): void
  /** A dead letter of this step was stored. */
  kept(step: string): void
}

type Counters = Pick<Metrics, 'completions' | 'failures' | 'recorded' | 'deadLetters' | 'swept'>

/**
 * Counts what the catalogue has committed.
 * @param assets the ids of the registered assets; any other id in a message counts as `other`
 */
export function commitMetrics(
  { completions, failures, recorded, deadLetters, swept }: Counters,
  assets: readonly string[],
): Additions {
  const asset = among(assets)
  const step = among(STEPS)
  const verdict = among(EVENTS.map((event) => event.verdict))
  const ofAssets = [...assets, OTHER].map((each) => ({ asset: each }))
  for (const each of [completions, failures]) atZero(each, ofAssets)
  atZero(
    deadLetters,
    STEPS.map((each) => ({ step: each })),
  )
  atZero(recorded, EVENTS)
  atZero(swept, [{}])
  return {
    made: (id) => completions.add(1, { asset: asset(id) }),
    failed: (id) => failures.add(1, { asset: asset(id) }),
    recorded: (event) =>
      recorded.add(event.count, { step: step(event.step), verdict: verdict(event.verdict) }),
    kept: (of) => deadLetters.add(1, { step: step(of) }),
  }
}

/** Wraps the handler of a subscription that no step consumes, and counts the deliveries that it gives back. */
export function requeuing(
  step: string,
  { requeued }: Pick<Metrics, 'requeued'>,
  handler: (delivery: Delivery) => Promise<Settlement>,
): (delivery: Delivery) => Promise<Settlement> {
  atZero(requeued, [{ step }])
  return async (delivery) => {
    const settlement = await handler(delivery)
    if (settlement === 'nack') requeued.add(1, { step })
    return settlement
  }
}

function among(known: readonly string[]): (name: string) => string {
  const names = new Set(known)
  return (name) => (names.has(name) ? name : OTHER)
}
