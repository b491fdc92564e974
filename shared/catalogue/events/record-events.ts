import type { StepEvent } from '../../contracts/messages/event.ts'
import { jobId } from '../../contracts/names.ts'
import { DEFAULT_ROUTE } from '../../contracts/topology.ts'
import { atOnce, type Database } from '../database.ts'
import { acceptAgain } from '../jobs/accept-jobs.ts'
import { endFoundCancelled } from '../jobs/cancel-jobs.ts'
import type { Acceptance } from '../jobs/job-row.ts'
import { rows, whole } from '../parameters.ts'
import { ADD_ACTIVITY, ADD_ACTIVITY_OF_DAY, ADD_ACTIVITY_OF_MINUTE } from './activity.ts'
import { EVENT_COLUMNS, eventRow, TYPED_EVENT_COLUMNS } from './event-columns.ts'

/**
 * Records any number of events, each once. An `accepted` event with its request creates a job row that could not be
 * written at the time. A `dead-lettered` event ends the watchdog's watch, a `cancelled` one a job that is cancelled and
 * still open; that of any step tells the watchdog that the job goes on.
 * @returns how many events of each kind were new
 */
export async function recordEvents(
  database: Database,
  events: readonly StepEvent[],
  signal?: AbortSignal,
): Promise<readonly EventCount[]> {
  if (events.length === 0) return []
  await acceptAgain(database, events.flatMap(acceptance), signal)
  const letters = events.filter(({ verdict, job }) => verdict === 'dead-lettered' && job)
  if (letters.length > 0) {
    const values = letters.map(({ job, run }) => ({ id: job, run: run && whole(run) }))
    await database.query(DEAD_LETTERED, [rows(values)], signal)
  }
  const cancelled = events.filter(({ verdict }) => verdict === 'cancelled')
  await endFoundCancelled(
    atOnce(database, signal),
    cancelled.flatMap(({ job = [] }) => job),
  )
  const steps = events.filter(({ job, run, verdict }) => job && run && isOfStep(verdict))
  if (steps.length > 0) {
    const values = steps.map(({ job, run = 1 }) => ({ id: job, run: whole(run) }))
    await database.query(BEGUN, [rows(values)], signal)
  }
  // Last: if any statement above fails, the whole batch comes again and counts as new again.
  return database.query<EventCount>(RECORD, [rows(events.map(eventRow))], signal)
}

export interface EventCount extends Pick<StepEvent, 'step' | 'verdict'> {
  readonly count: number
}

/** Whether an event says that a step of the chain has worked on its job. */
function isOfStep(verdict: string): boolean {
  return ![
    'accepted',
    'queued',
    'swept',
    'redriven',
    'discarded',
    'replaced',
    'cancelled',
  ].includes(verdict)
}

function acceptance(event: StepEvent): Acceptance[] {
  const { request, run = 1, route = DEFAULT_ROUTE, at, accepted = at } = event
  if (request === undefined) return []
  const job = jobId(request.request_id, request.asset_guid)
  return [{ job, run, route, accepted, request }]
}

// Copies of a message have the same id and time. An id of version 8 (RFC 9562) follows from what the event is about: an
// operator's act that is repeated after a crash has it again, at another time.
const RECORD = {
  name: 'events-record',
  text: `
    with given as materialized (
      select distinct on (id) *, substr(id::text, 15, 1) = '8' as is_named
      from json_to_recordset($1) as r (${TYPED_EVENT_COLUMNS}) order by id, at
    ), named as (
      insert into event_once (id) select id from given where is_named order by id
      on conflict (id) do nothing
      returning id
    ), recorded as (
      insert into event (${EVENT_COLUMNS})
      select ${EVENT_COLUMNS} from given
      where not is_named or id in (select id from named)
      order by at, id
      on conflict (at, id) do nothing
      returning *
    ), counted as (${ADD_ACTIVITY}), counted_of_day as (${ADD_ACTIVITY_OF_DAY}),
      counted_of_minute as (${ADD_ACTIVITY_OF_MINUTE})
    select step, verdict, count(*)::int as count from recorded group by step, verdict`,
}

// The job's rows are locked in the order of their keys, as everywhere.
const DEAD_LETTERED = {
  name: 'jobs-dead-lettered',
  text: `
    with letter as (
      select id, max(run) as run from json_to_recordset($1) as r (id text, run bigint) group by id
    ), locked as (
      select id, run from job where id in (select id from letter) order by id for update
    ), unwatched as (
      delete from watch using locked join letter using (id)
      where watch.job = locked.id and letter.run >= locked.run
    )
    update job set
      dead_lettered_run = greatest(job.dead_lettered_run, coalesce(letter.run, job.run))
    from locked join letter using (id)
    where job.id = locked.id and letter.run is not null`,
}

// A job that begins, or goes on. A process that writes its row at the same moment says the same, so none waits.
const BEGUN = {
  name: 'jobs-begun',
  text: `
    with step as (
      select id, max(run) as run from json_to_recordset($1) as r (id text, run bigint) group by id
    ), locked as (
      select job, watch.route, since, begun from watch join step on step.id = watch.job
      where step.run >= watch.run and (not begun or since < now() - interval '1 minute')
      order by job for update of watch skip locked
    ), moved as (
      update watch set begun = true, since = now() from locked where watch.job = locked.job
    )
    insert into beginning as old (route, minute, waited_since)
    select route, date_trunc('minute', now()), min(since) from locked
    where not begun and since < 'infinity' group by route order by route
    on conflict (route, minute) do update set
      waited_since = least(old.waited_since, excluded.waited_since)`,
}
