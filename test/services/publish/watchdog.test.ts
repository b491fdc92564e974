import t from 'tap'
import type { Bus } from '#shared/bus/bus.ts'
import { openDatabase } from '#shared/catalogue/database.ts'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import type { RunAccepted } from '#shared/contracts/messages/run.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import { sweepOnce } from '../../../services/publish/watchdog.ts'
import { accepted, catalogues, event } from '../../shared/catalogue/fixture.ts'
import { patient } from '../../support/patience.ts'

const fresh = await catalogues(t)
const { database } = await fresh()
/** What is swept, s. */
const AFTER = 1800

const swept: string[] = []
const bus = {
  async publish(_topic, { data }) {
    swept.push(JSON.parse(`${data}`).asset_guid)
    return 'id'
  },
} as Pick<Bus, 'publish'> as Bus
const sweep = async (of = database) => {
  swept.length = 0
  const events = { report: async () => {} }
  await sweepOnce({ bus, events, database: of, metrics: createMetrics('publish') }, AFTER)
  return swept.toSorted()
}
/** Moves the database's clock on, as far as these jobs are concerned. */
const wait = (minutes: number, jobs: readonly RunAccepted[]) =>
  database.query(
    {
      text: `update watch set since = since - make_interval(mins => $1) where job = any ($2)`,
    },
    [minutes, jobs.map(({ job }) => job)],
  )
const some = (name: string, count: number) =>
  Array.from({ length: count }, (_, index) => accepted(['bpm'], { track: `${name}-${index}` }))
const begin = (jobs: readonly RunAccepted[]) =>
  recordEvents(
    database,
    jobs.map((job) => event(job)),
  )

t.test(
  'a backlog is no fault: what waits is swept only when its queue has passed it',
  async (t) => {
    const backlog = some('backlog', 2000)
    const first = some('first', 20)
    await acceptJobs(database, backlog)
    await acceptJobs(database, first)
    await wait(120, backlog)
    await wait(125, first)
    await begin(first)
    t.same(await sweep(), [], 'two hours, while others are worked off')

    await wait(29, first)
    t.same(await sweep(), [], 'what has begun goes on')
    await wait(2, first.slice(0, 1))
    t.same(await sweep(), ['first-0'], 'and one stands still')
    await wait(31, first.slice(0, 1))
    t.same(await sweep(), [], 'which waits in the queue again')
    await wait(2, first.slice(1, 2))
    await begin(first.slice(1, 2))
    t.same(await sweep(), [], 'a step that is recorded starts the clock again')

    // Of another route nothing has begun: its queue is empty, or nobody takes from it.
    const elsewhere = accepted(['bpm'], { track: 'elsewhere', route: 'onprem' })
    await acceptJobs(database, [elsewhere])
    await wait(31, [elsewhere])
    t.same(await sweep(), ['elsewhere'])

    // An hour later the queue has come to jobs that were accepted an hour after these.
    await database.query({ text: `update beginning set minute = minute - interval '1 hour'` })
    const late = some('late', 1)
    await acceptJobs(database, late)
    await begin(late)
    t.equal((await sweep()).length, 100, 'those that it has passed are lost')
    await database.query({ text: 'delete from beginning' })
    t.equal((await sweep()).length, 100, 'or nothing begins any more')
  },
)

t.test(
  'a backlog of 200,000 jobs is worked off in two hours, and nothing is swept',
  async (t) => {
    const { database: sql, dsn } = await fresh()
    await sql.query({ text: CLOCK })
    const database = openDatabase({ dsn, statementMs: patient(60_000) })
    t.teardown(() => database.close())
    const total = 200_000
    for (const text of [
      'alter table job disable trigger user',
      `insert into job (id, request_id, asset_guid, run, route, request, wanted, state, accepted_at)
        select lpad(n::text, 9, '0'), md5(n::text)::uuid, n, 1, 'cloud', '{}', '{"bpm":1}', 'accepted', now()
        from generate_series(1, ${total}) n`,
      `insert into watch (job, run, route, since)
        select id, 1, route, now() + asset_guid::int * interval '1 microsecond' from job`,
    ])
      await database.query({ text })
    const found: string[] = []
    for (let minute = 1; minute <= 120; minute++) {
      await database.query({ text: `update clock.ahead set by = interval '${minute} minutes'` })
      const from = Math.floor((total * (minute - 1)) / 120)
      const to = Math.floor((total * minute) / 120)
      const name = (n: number) => `${n}`.padStart(9, '0')
      await recordEvents(database, [event({ ...accepted(['bpm']), job: name(to) })])
      const text = 'delete from watch where job > $1 and job <= $2'
      await database.query({ text }, [name(from), name(to)])
      found.push(...(await sweep(database)))
      if (minute !== 60) continue
      // If nothing began for half an hour from now on, it would be.
      await database.query({ text: `update clock.ahead set by = interval '91 minutes'` })
      t.equal((await sweep(database)).length, 100, 'the clock counts')
    }
    const [left] = await database.query<{ count: number }>({
      text: 'select count(*) from watch',
    })
    t.same([found, left?.count], [[], 0])
  },
)

/** Statements that ask for the time get that of a clock which can be set. */
const CLOCK = `
  create schema clock;
  create table clock.ahead (by interval not null);
  insert into clock.ahead values ('0');
  create function clock.now() returns timestamptz language sql stable as
    'select pg_catalog.now() + by from clock.ahead';
  do $$ begin
    execute format('alter database %I set search_path = clock, public, pg_catalog', current_database());
  end $$`

t.test('a lane is a queue of its own: others do not pass it', async (t) => {
  await database.query({ text: 'delete from watch' })
  await database.query({ text: 'delete from beginning' })
  const waiting = some('patient', 3).map((job) => ({
    ...job,
    request: { ...job.request, lane: 'backfill' as const },
  }))
  const [moving, ...rest] = waiting
  const others = some('new', 2)
  await acceptJobs(database, [...waiting, ...others])
  await wait(600, waiting)
  await begin(others)
  await begin(moving === undefined ? [] : [moving])
  t.same(await sweep(), [], 'younger jobs begin in another lane, and its own queue moves')
  await database.query({ text: `delete from beginning where route = 'cloud.backfill'` })
  t.equal((await sweep()).length, rest.length, 'but nothing begins in its own')
})
