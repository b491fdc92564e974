import type { Bus } from '#shared/bus/bus.ts'
import type { Database } from '#shared/catalogue/database.ts'
import { sweepJobs } from '#shared/catalogue/jobs/sweep-jobs.ts'
import { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import { type EventSink, newEvent } from '#shared/frame/events.ts'
import { send } from '#shared/frame/step.ts'
import type { Metrics } from '#shared/frame/telemetry/metrics.ts'

/** Maximum number of times that a job is published again. After that, an operator has to look at it. */
export const MAX_SWEEPS = 3
const MAX_AT_ONCE = 100

interface WatchdogDeps {
  readonly bus: Bus
  readonly events: EventSink
  readonly database: Database
  readonly metrics: Pick<Metrics, 'swept'>
}

/**
 * Publishes jobs again that stand still for `olderThanSeconds`, as `sweepJobs` has it. Each sweep is
 * reported as an event, so that the watchdog never hides a defect of the chain.
 * @returns the number of jobs published again, at most 100
 */
export async function sweepOnce(
  { bus, events, database, metrics }: WatchdogDeps,
  olderThanSeconds: number,
): Promise<number> {
  const swept = await sweepJobs(database, {
    olderThanSeconds,
    limit: MAX_AT_ONCE,
    sweptLessThan: MAX_SWEEPS,
  })
  for (const { job, run, route, request, accepted } of swept) {
    const again = { run: String(run), accepted }
    const derivative_assets = request.derivative_assets.slice(0, 100)
    const narrowed = { ...request, derivative_assets }
    const { topic, data, attributes } = send('ingest', EncodeJob, narrowed, again)
    await bus.publish(topic, { data, attributes })
    await events.report({
      ...newEvent('watchdog', 1),
      job,
      run,
      route,
      track: request.asset_guid,
      verdict: 'swept',
      units: [],
      ms: 0,
      sentence: `it stood still for ${olderThanSeconds} s: published again`,
    })
    metrics.swept.add(1)
  }
  return swept.length
}
