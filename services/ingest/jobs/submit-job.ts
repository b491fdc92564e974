import type { FastifyRequest } from 'fastify'
import type { Bus } from '#shared/bus/bus.ts'
import type { Accepted } from '#shared/contracts/api/submission.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { laneOf } from '#shared/contracts/lanes.ts'
import { type RunAccepted, subjectOf } from '#shared/contracts/messages/run.ts'
import { tenantOf } from '#shared/contracts/tenants.ts'
import { type EventSink, newEvent } from '#shared/frame/events.ts'
import type { Metrics } from '#shared/frame/telemetry/metrics.ts'
import {
  TRACEPARENT,
  type Tracing,
  tracedBus,
  UNTRACED,
} from '#shared/frame/telemetry/trace.ts'
import { type AcceptSettings, accept, toStage } from '#shared/jobs/accept.ts'
import type { Conflicts } from './conflicts.ts'
import type { Quotas } from './quotas.ts'

export interface Submissions {
  /**
   * Validates and routes a job, and compares it with what the same request said before.
   * @param tenant that of the caller; undefined: the job says its own
   * @throws PermanentError that says what is wrong
   */
  check(value: unknown, tenant: string | undefined): Promise<RunAccepted>
  /**
   * Hands a job on, or lets it wait until its tenant has room. Resolves once Pub/Sub, or the database, has the job, and
   * Pub/Sub the event of it.
   * @throws HttpError UPSTREAM_DOWN when Pub/Sub does not answer; the job may then be posted again
   */
  handOn(accepted: RunAccepted, traceparent?: string | undefined): Promise<Accepted>
  /**
   * Checks a job and hands it on.
   * @param traceparent the trace that the HTTP request belongs to, if it has a single job
   */
  submit(
    value: unknown,
    tenant: string | undefined,
    traceparent?: string | undefined,
  ): Promise<Accepted>
}

/** Accepts the EncodeJobs of POST requests, as the consumer of the `ingest` topic accepts those of messages. */
export function submissions({
  settings,
  bus,
  events,
  recordJob,
  conflicts,
  quotas,
  metrics,
  tracing = UNTRACED,
}: {
  settings: AcceptSettings
  bus: Bus
  events: EventSink
  recordJob: (accepted: RunAccepted) => Promise<void>
  conflicts: Conflicts
  quotas: Quotas
  metrics: Pick<Metrics, 'stepSeconds'>
  /** Off by default. */
  tracing?: Tracing
}): Submissions {
  async function handOn(accepted: RunAccepted, traceparent?: string): Promise<Accepted> {
    const span = tracing.begin('POST /v1/jobs', 'request', traceparent)
    const { job, run, route } = accepted
    const facts = {
      'http.request.method': 'POST',
      'http.route': '/v1/jobs',
      'trackchain.job': job,
      'trackchain.track': accepted.request.asset_guid,
      'trackchain.run': run,
      'trackchain.route': route,
    }
    const birth = newEvent('ingest', 1)
    const began = performance.now()
    const { topic, data, attributes } = toStage(accepted)
    const isQueued = await quotas.holdBack(accepted)
    const verdict = isQueued ? 'queued' : 'accepted'
    try {
      if (!isQueued) await tracedBus(bus, span).publish(topic, { data, attributes })
      const ms = Math.round(performance.now() - began)
      const { request } = accepted
      const reported = events.report({
        ...birth,
        ...subjectOf(accepted),
        verdict,
        units: [],
        ms,
        // Of a job that waits the database has it.
        ...(isQueued ? {} : { request }),
        ...(accepted.accepted > birth.at ? { accepted: accepted.accepted } : {}),
      })
      await Promise.all([reported, ...(isQueued ? [] : [recordJob(accepted)])])
      // The consumer of the topic records this metric, too.
      metrics.stepSeconds.record(ms / 1000, { step: 'ingest', verdict })
      span.end(facts)
    } catch (error) {
      conflicts.forget(accepted)
      span.end(facts, sentence(error))
      throw new HttpError('UPSTREAM_DOWN', `Pub/Sub did not take the job: ${sentence(error)}`, {
        cause: error,
      })
    }
    return toAccepted(accepted, verdict)
  }
  async function check(value: unknown, tenant: string | undefined): Promise<RunAccepted> {
    const accepted = accept(value, settings, {}, tenant)
    // What is posted now is later than every cancellation, whatever the clocks say.
    const sentMs = Number.POSITIVE_INFINITY
    return namesItsRequest(value) ? await conflicts.check(accepted, sentMs) : accepted
  }
  return {
    check,
    handOn,
    submit: async (value, tenant, traceparent) =>
      handOn(await check(value, tenant), traceparent),
  }
}

/**
 * Whether the client names the request. A request id that is minted here is new, so it cannot contradict
 * anything.
 */
function namesItsRequest(job: unknown): boolean {
  return (job as { request_id?: unknown }).request_id !== undefined
}

/** The `traceparent` header of a request. */
export function traceparentOf({ headers }: FastifyRequest): string | undefined {
  const header = headers[TRACEPARENT]
  return typeof header === 'string' ? header : undefined
}

function toAccepted(accepted: RunAccepted, state: Accepted['state']): Accepted {
  const { request, job, route } = accepted
  const { request_id, asset_guid, derivative_assets } = request
  return {
    status: 202,
    state,
    request_id,
    asset_guid,
    job,
    route,
    lane: laneOf(accepted),
    tenant: tenantOf(accepted),
    derivative_assets,
    href: `/v1/jobs/${encodeURIComponent(request_id)}`,
  }
}
