import type { Bus } from '#shared/bus/bus.ts'
import type { Database } from '#shared/catalogue/database.ts'
import { releaseWaiting } from '#shared/catalogue/jobs/waiting-jobs.ts'
import { sentInTime } from '#shared/catalogue/sent-in-time.ts'
import { type RunAccepted, subjectOf } from '#shared/contracts/messages/run.ts'
import type { Tenants } from '#shared/contracts/tenants.ts'
import { type EventSink, newEvent } from '#shared/frame/events.ts'
import { toStage } from '#shared/jobs/accept.ts'

/** How many jobs of a tenant are released in one transaction. */
const MAX_AT_ONCE = 500

interface ReleaseDeps {
  readonly database: Database
  readonly bus: Bus
  readonly events: EventSink
  readonly tenants: Tenants
}

/**
 * Releases jobs that waited because of the quotas of their tenants, as many as there is room for now.
 * @returns how many
 */
export async function releaseOnce(
  { database, bus, events, tenants }: ReleaseDeps,
  signal: AbortSignal,
): Promise<number> {
  const quotas = new Map(
    Object.entries(tenants).flatMap(([name, { quota }]) =>
      quota === undefined ? [] : [[name, quota] as const],
    ),
  )
  const handOn = async (accepted: RunAccepted) => {
    const { topic, data, attributes } = toStage(accepted)
    const birth = newEvent('ingest', 1)
    await bus.publish(topic, { data, attributes })
    await events.report({
      ...birth,
      ...subjectOf(accepted),
      ...{ verdict: 'accepted', units: [], ms: 0 },
      ...{ request: accepted.request, accepted: accepted.accepted },
    })
  }
  for (let released = 0; ; ) {
    const batch = await releaseWaiting(
      database,
      quotas,
      MAX_AT_ONCE,
      (messages) => sentInTime(messages.map(handOn), signal),
      signal,
    )
    released += batch
    if (batch === 0 || signal.aborted) return released
  }
}
