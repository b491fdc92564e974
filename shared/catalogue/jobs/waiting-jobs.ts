import { laneOf } from '../../contracts/lanes.ts'
import type { RunAccepted } from '../../contracts/messages/run.ts'
import { tenantOf } from '../../contracts/tenants.ts'
import type { Database, Query } from '../database.ts'
import { rows } from '../parameters.ts'
import { newJob } from './job-row.ts'
import { jobColumns, QUEUE } from './job-table.ts'

/** How much of its quota a tenant uses. */
export interface QuotaUse {
  readonly tenant: string
  /** Its jobs in the lanes urgent and new that have neither ended nor wait. */
  readonly open: number
  /** Whether any of its jobs waits. */
  readonly waits: boolean
}

/**
 * How much of its quota each of these tenants uses.
 * @param jobs ids of jobs
 * @returns also those of the jobs that have rows, and so are counted
 */
export async function quotaUses(
  query: Query,
  tenants: readonly string[],
  jobs: readonly string[] = [],
): Promise<{ readonly uses: readonly QuotaUse[]; readonly counted: readonly string[] }> {
  const uses = await query<QuotaUse & { counted: string[] | null }>(USES, [tenants, jobs])
  return { uses, counted: uses[0]?.counted ?? [] }
}

/**
 * Lets jobs wait. A job that exists already and does not wait is left alone.
 * @returns the ids of those that wait now
 */
export async function putInWaiting(
  database: Database,
  messages: readonly RunAccepted[],
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  if (messages.length === 0) return new Set()
  const given = messages.map((message) => ({
    ...jobColumns(newJob(message)),
    tenant: tenantOf(message),
    urgent: laneOf(message) === 'urgent',
    message,
  }))
  const waiting = await database.query<{ job: string }>(PUT, [rows(given)], signal)
  return new Set(waiting.map(({ job }) => job))
}

/** The key of the advisory lock of those who release: an arbitrary number that no other program uses. */
const LOCK = 7_472_616_371

/**
 * Releases jobs that wait, of each tenant as many as its quota has room for, those that have waited longest first. They
 * are `sent` in the transaction that opens their rows and takes them off the list, so that a crash sends them again: a
 * job that comes twice is one job. Jobs that were cancelled meanwhile are not sent. One process at a time does it.
 * @param quotas by tenant; one without a quota, or that is not known any more, waits for nothing
 * @param atOnce how many are released together, of each tenant
 * @returns how many were taken off the list
 */
export async function releaseWaiting(
  database: Database,
  quotas: ReadonlyMap<string, number>,
  atOnce: number,
  sent: (messages: readonly RunAccepted[]) => Promise<void>,
  signal?: AbortSignal,
): Promise<number> {
  return await database.transaction(async (query) => {
    const [lock] = await query<{ ours: boolean }>(TRY_LOCK, [LOCK])
    if (!lock?.ours) return 0
    const tenants = await query<{ tenant: string }>(WAITING_TENANTS)
    if (tenants.length === 0) return 0
    const { uses } = await quotaUses(
      query,
      tenants.map(({ tenant }) => tenant),
    )
    const rooms = uses.map(({ tenant, open }) => {
      const quota = quotas.get(tenant) ?? Number.POSITIVE_INFINITY
      return { tenant, room: Math.min(atOnce, Math.max(0, quota - open)) }
    })
    const taken = await query<Taken>(TAKE, [rows(rooms)])
    if (taken.length === 0) return 0
    await query(OPEN, [[...new Set(taken.map(({ job }) => job))]])
    await sent(taken.filter(({ is_cancelled }) => !is_cancelled).map(({ message }) => message))
    return taken.length
  }, signal)
}

interface Taken {
  readonly job: string
  readonly message: RunAccepted
  readonly is_cancelled: boolean
}

const USES = {
  name: 'quota-uses',
  text: `
    select tenant,
      (select coalesce(sum(count), 0)::bigint from kept_count where kind = 'open' and value = tenant) as open,
      exists (select from waiting_job where waiting_job.tenant = asked.tenant) as waits,
      (select array_agg(id) from job where id = any ($2)) as counted
    from unnest($1::text[]) asked (tenant)`,
}

const PUT = {
  name: 'waiting-put',
  text: `
    with given as materialized (
      select * from json_to_recordset($1) as r (id text, request_id text, asset_guid text, run bigint,
        route text, request json, wanted json, accepted_at timestamptz, tenant text, urgent boolean, message json)
    ), inserted as (
      insert into job (id, request_id, asset_guid, run, route, request, wanted, state, accepted_at)
      select id, request_id, asset_guid, run, route, request, wanted, 'queued', accepted_at
      from given order by id collate "C"
      on conflict (id) do nothing
      returning id
    )
    insert into waiting_job (tenant, job, urgent, message)
    select tenant, id, urgent, message from given
    where id in (select id from inserted)
      or exists (select from job where job.id = given.id and job.state = 'queued')
    returning job`,
}

const TRY_LOCK = {
  name: 'waiting-lock',
  text: 'select pg_try_advisory_xact_lock($1) as ours',
}

// Few tenants have very many jobs: each is looked up in the index.
const WAITING_TENANTS = {
  name: 'waiting-tenants',
  text: `
    with recursive tenants as (
      (select tenant from waiting_job order by tenant limit 1)
      union all
      select (select tenant from waiting_job where waiting_job.tenant > tenants.tenant order by tenant limit 1)
      from tenants where tenant is not null
    )
    select tenant from tenants where tenant is not null`,
}

const TAKE = {
  name: 'waiting-take',
  text: `
    with taken as (
      delete from waiting_job where number in (
        select first.number
        from json_to_recordset($1) as r (tenant text, room int), lateral (
          select number from waiting_job where waiting_job.tenant = r.tenant
          order by urgent desc, number limit r.room
        ) first
      )
      returning number, urgent, job, message
    )
    select job, message, coalesce(job.state = 'cancelled', false) as is_cancelled
    from taken left join job on job.id = taken.job
    order by urgent desc, number`,
}

const OPEN = {
  name: 'waiting-open',
  text: `
    with locked as (
      select id from job where id = any($1) and state = 'queued' order by id for update
    ), opened as (
      update job set state = 'accepted' from locked where job.id = locked.id
      returning job.id, run, ${QUEUE} as route
    )
    insert into watch (job, run, route) select id, run, route from opened
    order by id collate "C"
    on conflict (job) do nothing`,
}
