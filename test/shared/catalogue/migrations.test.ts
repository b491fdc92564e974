import { createHash } from 'node:crypto'
import t from 'tap'
import type { Database } from '#shared/catalogue/database.ts'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { migrateBatches, type Progress } from '#shared/catalogue/schema/batches.ts'
import { migrate, schemaState } from '#shared/catalogue/schema/migrate.ts'
import { MIGRATIONS, type Migration } from '#shared/catalogue/schema/migrations.ts'
import { listTracks } from '#shared/catalogue/tracks/list-tracks.ts'
import { fillCatalogue } from '../../../tools/bench/fill-catalogue.ts'
import { testPostgres } from '../../../tools/local/postgres/temporary.ts'
import { until } from '../../support/patience.ts'
import { accepted, catalogues, ended, event, made } from './fixture.ts'

const fresh = await catalogues(t)
/** The sha256 of each migration that has been released: databases have it as it was. */
const RELEASED = ['8b31158886a39582f7e11bdccd3576ba32bc47139a296e30c5e0078745fe9941']
const TRACKS = 6_000

/** As a later release may have it: the seconds of each track in a column of their own, which is then required. */
const LATER: readonly Migration[] = [
  ...MIGRATIONS,
  {
    name: 'seconds of tracks, for what is new',
    sql: `
      alter table track_listing add column seconds double precision;
      create function give_seconds() returns trigger language plpgsql as $$
      begin new.seconds = coalesce(new.samples, 0) / 44100.0; return new; end $$;
      create trigger give_seconds before insert or update on track_listing
        for each row execute function give_seconds()`,
  },
  {
    name: 'seconds of tracks, for what is there',
    all: "select sum(count)::bigint as all from kept_count where kind = 'state'",
    batch: `
      with batch as materialized (
        select asset_guid from track_listing where asset_guid > coalesce($1, '')
        order by asset_guid limit $2 for update
      ), changed as (
        update track_listing set seconds = 0 from batch
        where track_listing.asset_guid = batch.asset_guid
      )
      select max(asset_guid) as cursor, count(*)::int as rows from batch`,
  },
  {
    name: 'seconds of tracks are there',
    sql: 'alter table track_listing add check (seconds is not null) not valid',
  },
]

t.test(
  'a migration of every track goes on in batches, while jobs are recorded and processes are killed',
  async (t) => {
    const { database } = await fresh()
    await fillCatalogue(database, TRACKS)
    await migrate(database, undefined, LATER)
    const { applied } = await schemaState(database)
    t.equal(applied, MIGRATIONS.length + 1, 'services start before the batches have begun')

    const said: Progress[] = []
    const recorded: string[] = []
    let isDone = false
    const services = (async () => {
      while (!isDone || recorded.length < 10) {
        const run = accepted(['bpm'], { track: `new-${recorded.length}` })
        await acceptJobs(database, [run])
        await recordRuns(database, [ended(run, { bpm: made('x') })])
        recorded.push(run.request.asset_guid)
      }
    })()
    const [first] = await Promise.allSettled([killedAfter(database, 2, said)])
    t.equal(first.status, 'rejected')
    const [halfway] = await database.query<{ rows: number; all: number }>(
      { text: 'select done as rows, total as "all" from migration_cursor where number = $1' },
      [MIGRATIONS.length + 2],
    )
    t.match(halfway, { all: Number })
    t.ok(halfway && halfway.rows > 0 && halfway.rows < TRACKS, `${halfway?.rows} rows`)
    const begun = halfway?.rows ?? 0

    const again: Progress[] = []
    await Promise.all([
      migrateBatches(database, { migrations: LATER, said: (each) => again.push(each) }),
      migrateBatches(database, { migrations: LATER }),
    ])
    await until(() => recorded.length > 0)
    isDone = true
    await services
    t.ok((again[0]?.rows ?? 0) >= begun, 'it goes on where it was')
    const rows = again.filter(({ all }) => all !== 0).map((each) => each.rows)
    t.same(
      rows,
      rows.toSorted((a, b) => a - b),
      'its progress is shown',
    )
    t.equal((await schemaState(database)).applied, LATER.length)
    const [left] = await database.query<{ wrong: number; all: number }>({
      text: `select count(*) filter (where seconds is distinct from coalesce(samples, 0) / 44100.0)::int as wrong,
        count(*)::int as all from track_listing`,
    })
    t.same(left, { wrong: 0, all: TRACKS + recorded.length })
  },
)

t.test(
  'an index is built while rows are written, and anew when its builder is killed',
  async (t) => {
    const { database } = await fresh()
    await fillCatalogue(database, TRACKS)
    const name = 'track_listing_digest'
    const slow: readonly Migration[] = [
      ...MIGRATIONS,
      // Digests of digests: it takes long enough to be killed at.
      {
        name: 'digests',
        index: name,
        on: `track_listing (${'md5('.repeat(60)}asset_guid${')'.repeat(60)})`,
        all: 'select 1 as all',
      },
    ]
    const isValid = async () => {
      const text = `select indisvalid as valid from pg_index where indexrelid = to_regclass('${name}')`
      return (await database.query<{ valid: boolean }>({ text }))[0]?.valid
    }
    const killed = new AbortController()
    const first = migrateBatches(database, { migrations: slow, signal: killed.signal })
    await until(async () => (await isValid()) !== undefined)
    const run = accepted(['bpm'], { track: 'written-meanwhile' })
    await acceptJobs(database, [run])
    killed.abort()
    await t.rejects(first)
    await migrate(database, undefined, slow)
    t.equal((await schemaState(database)).applied, MIGRATIONS.length, 'services start')
    await Promise.all([
      migrateBatches(database, { migrations: slow }),
      migrateBatches(database, { migrations: slow }),
    ])
    t.equal(await isValid(), true)
    t.equal((await schemaState(database)).applied, slow.length)
  },
)

t.test('a released migration is never edited', async (t) => {
  const digests = MIGRATIONS.slice(0, RELEASED.length).map((migration) =>
    createHash('sha256')
      .update('sql' in migration ? migration.sql : '')
      .digest('hex'),
  )
  t.same(digests, RELEASED)
})

t.test('a catalogue of 0.2 is upgraded with all that is in it', async (t) => {
  const postgres = await testPostgres()
  t.teardown(() => postgres.stop())
  const database = postgres.open(await postgres.database())
  await migrate(database, undefined, MIGRATIONS.slice(0, 1))
  await database.query({ text: TRACKS_OF_0_2 })
  await database.query({ text: JOBS_OF_0_2 })
  await database.query({ text: ACTIVITY_OF_0_2 })

  await migrate(database)
  const atOnce = MIGRATIONS.findIndex((each) => 'all' in each)
  t.equal((await schemaState(database)).applied, atOnce, 'what services need is there at once')
  const at = new Date().toISOString()
  await recordEvents(database, [event(accepted(['bpm'], { track: 'meanwhile' }), { at })])
  await database.query({ text: ACTIVITY_OF_0_2 })
  const run = accepted(['bpm'], { track: 'late' })
  const late = { ...run, request: { ...run.request, title: 'Night Train' } }
  await acceptJobs(database, [late])
  await recordRuns(database, [ended(late)])
  const said: Progress[] = []
  await migrateBatches(database, { said: (each) => said.push(each) })
  t.equal((await schemaState(database)).applied, MIGRATIONS.length)
  t.match(
    said.find(({ all }) => all !== 0),
    { rows: Number, all: 102 },
  )
  const [built] = await database.query<{ names: string[] }>({
    text: `select array_agg(indexrelid::regclass::text order by indexrelid::regclass::text) as names from pg_index
      where indrelid = 'track_listing'::regclass and indisvalid and indexrelid::regclass::text ~ 'state|words'`,
  })
  t.same(built?.names, ['track_listing_every_state', 'track_listing_words'])

  const page = await listTracks(database, { q: 'night' }, { limit: 1000 })
  t.equal(page.tracks.length, 101)
  const nameless = await listTracks(database, { q: 'nameless' }, { limit: 10 })
  t.equal(nameless.tracks.length, 1, 'found by the beginning of its guid')
  t.same(
    await database.query({
      text: `select sum(count)::int as count, max(bucket) as at from activity_day where bucket < '2026-04-01'`,
    }),
    [{ count: 6, at: new Date('2026-03-02T00:00:00Z') }],
  )
})

t.test('a batch that takes too long is tried again with fewer rows', async (t) => {
  const { database } = await fresh()
  const slow: readonly Migration[] = [
    ...MIGRATIONS,
    {
      name: 'slow',
      all: 'select 1000 as all',
      // A hundredth of a second a row.
      batch: `
        select pg_sleep(0.01 * least($2::int, 1000 - coalesce($1, '0')::int)),
          nullif(least(coalesce($1, '0')::int + $2::int, 1000), 1000)::text as cursor, $2::int as rows`,
    },
  ]
  const said: Progress[] = []
  const stop = new AbortController()
  const run = migrateBatches(database, {
    migrations: slow,
    signal: stop.signal,
    said: (each) => {
      said.push(each)
      if (said.length === 2) stop.abort()
    },
  })
  await t.rejects(run)
  t.ok((said[0]?.rows ?? 0) < 250, 'at first half of the rows, or fewer')
})

/** Runs the batches until that many are done, and gives up in the middle of the next one, as a killed process does. */
async function killedAfter(
  database: Database,
  batches: number,
  said: Progress[],
): Promise<void> {
  const killed = new AbortController()
  await migrateBatches(database, {
    migrations: LATER,
    signal: killed.signal,
    said: (each) => {
      said.push(each)
      if (said.length === batches) killed.abort()
    },
  })
}

const TRACKS_OF_0_2 = `
  insert into track (asset_guid, title, artist)
  select 'old-' || n, 'Night Bus ' || n, 'Driver' from generate_series(1, 100) n
  union all select 'nameless', null, null`

const JOBS_OF_0_2 = `
  insert into job (id, request_id, asset_guid, run, route, request, wanted, state, accepted_at)
  select substr(md5(asset_guid), 1, 24), asset_guid, asset_guid, 1, 'cloud', '{}', '{"bpm":1}', 'accepted', now()
  from track`

/** As services of 0.2 write it, before the migration and until they are replaced. */
const ACTIVITY_OF_0_2 = `
  insert into activity as kept
  select '2026-03-01T23:50:00Z'::timestamptz + n * interval '10 minutes', 'stage', 'done', 'cloud', '', 20,
    1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0 from generate_series(-2, 3) n
  on conflict (bucket, step, verdict, route, asset, class) do update set count = kept.count + excluded.count`
