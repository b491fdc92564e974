import type { StepEvent } from '../../contracts/messages/event.ts'
import { jobId } from '../../contracts/names.ts'
import { DEFAULT_ROUTE } from '../../contracts/topology.ts'
import type { Database } from '../database.ts'
import { acceptAgain } from '../jobs/accept-jobs.ts'
import type { Acceptance } from '../jobs/job-row.ts'
import { rows, whole } from '../parameters.ts'
import { EVENT_COLUMNS, eventRow, TYPED_EVENT_COLUMNS } from './event-columns.ts'

/**
 * Records any number of events, each once. An `accepted` event with its request creates a job row that could not be
 * written at the time. A `dead-lettered` event ends the watchdog's watch.
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
  // Last: if any statement above fails, the whole batch comes again and counts as new again.
  return database.query<EventCount>(RECORD, [rows(events.map(eventRow))], signal)
}

export interface EventCount extends Pick<StepEvent, 'step' | 'verdict'> {
  readonly count: number
}

function acceptance(event: StepEvent): Acceptance[] {
  const { request, run = 1, route = DEFAULT_ROUTE, at } = event
  if (request === undefined) return []
  const job = jobId(request.request_id, request.asset_guid)
  return [{ job, run, route, accepted: at, request }]
}

const RECORD = {
  name: 'events-record',
  text: `
    with recorded as (
      insert into event (${EVENT_COLUMNS})
      select ${EVENT_COLUMNS} from json_to_recordset($1) as r (${TYPED_EVENT_COLUMNS})
      order by id
      on conflict (id) do nothing
      returning step, verdict
    )
    select step, verdict, count(*)::int as count from recorded group by step, verdict`,
}

const DEAD_LETTERED = {
  name: 'jobs-dead-lettered',
  text: `
    with letter as (
      select id, max(run) as run from json_to_recordset($1) as r (id text, run bigint) group by id
    ), locked as (
      select id from job where id in (select id from letter) order by id for update
    )
    update job set
      dead_lettered_run = greatest(job.dead_lettered_run, coalesce(letter.run, job.run)),
      watched_since = case when letter.run < job.run then job.watched_since end
    from locked join letter using (id)
    where job.id = locked.id and letter.run is not null`,
}
