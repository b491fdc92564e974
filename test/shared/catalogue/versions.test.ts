import t from 'tap'
import { type Database, openDatabase } from '#shared/catalogue/database.ts'
import { readStale } from '#shared/catalogue/figures/stale.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { listTracks } from '#shared/catalogue/tracks/list-tracks.ts'
import type { TrackFilter } from '#shared/catalogue/tracks/track-filter.ts'
import { accepted, again, catalogues, ended, failed, made } from './fixture.ts'

const fresh = await catalogues(t)

const found = async (database: Database, filter: TrackFilter) =>
  (await listTracks(database, filter, { limit: 1000 })).tracks
    .map(({ line }) => line.asset_guid)
    .sort()

t.test(
  'each track is current, stale, missing or failed, by the version that is asked about',
  async (t) => {
    const { database } = await fresh()
    const record = (track: string, bpm: ReturnType<typeof made>, revision = 'f01') =>
      recordRuns(database, [ended(accepted(['bpm', 'key'], { track }), { bpm }, revision)])
    await record('old', made('x', 1))
    await record('new', made('x', 2))
    await record('failed', failed('no', 2))
    await record('failed-before', failed('no', 1))
    await record('worse', made('x', 1))
    await record('worse', failed('no', 2))
    await acceptJobs(database, [accepted(['bpm'], { track: 'waiting' })])
    await recordRuns(database, [
      ended(accepted(['bpm'], { track: 'unread' }), { bpm: failed() }, null),
    ])

    const bpm = (version: number) => ({ asset: 'bpm', version })
    t.same(await readStale(database, [bpm(2)]), [
      { ...bpm(2), current: 1, older: [{ version: 1, tracks: 1 }], missing: 3, failed: 2 },
    ])
    t.same(await found(database, { stale: bpm(2) }), ['old'])
    t.same(await found(database, { lacks: bpm(2) }), ['failed-before', 'unread', 'waiting'])
    t.same(await found(database, { lacks: bpm(2), asset: 'key' }), ['failed-before'])
    t.same(await found(database, { stale: bpm(2), lacks: { asset: 'flac', version: 1 } }), [
      'old',
    ])

    // An upgrade changes nothing in the database: the same counts are compared with another version.
    t.match(await readStale(database, [bpm(3)]), [
      {
        current: 0,
        older: [
          { version: 2, tracks: 1 },
          { version: 1, tracks: 2 },
        ],
        failed: 0,
        missing: 4,
      },
    ])
    t.same(await found(database, { stale: bpm(3) }), ['new', 'old', 'worse'])
    t.match(await readStale(database, [bpm(1)]), [
      { current: 3, older: [], failed: 2, missing: 2 },
    ])

    // Another master: what was made of the one before does not count.
    await record('new', failed('no', 2), 'f02')
    t.match(await readStale(database, [bpm(2)]), [{ current: 0, failed: 3 }])
    await record('old', made('x', 2))
    t.same(await found(database, { stale: bpm(2) }), [])
  },
)

t.test('what is counted is what there is, while several processes write', async (t) => {
  const { database, dsn } = await fresh()
  const others = Array.from({ length: 3 }, () => openDatabase({ dsn }))
  t.teardown(() => Promise.all(others.map((other) => other.close())))
  const tracks = Array.from({ length: 30 }, (_, index) => `t${index}`)
  await Promise.all(
    others.map(async (other, by) => {
      for (let round = 0; round < 4; round++) {
        const runs = tracks.map((track) => accepted(['bpm', 'key'], { track }))
        await acceptJobs(other, runs)
        await recordRuns(
          other,
          runs.map((run, index) =>
            ended(run, (index + by + round) % 3 ? {} : { bpm: failed('no', round + 1) }),
          ),
        )
        await acceptJobs(other, [again(runs[by] as (typeof runs)[0], { run: 2 })])
      }
    }),
  )
  const kept = await database.query({
    text: `select kind, value, sum(count)::bigint as count from kept_count
      group by 1, 2 having sum(count) <> 0 order by 1, 2`,
  })
  const there = await database.query({
    text: `select kind, value, count(*) from track_listing, lateral (values ('state', state),
        ('assets', assets::text), ('camelot', camelot), ('warnings', warnings::text)) each (kind, value)
      where value is not null group by 1, 2
      union all
      select 'open', 'default', count(*) from job
      where ended_at is null and coalesce(dead_lettered_run < run, true)
      having count(*) > 0
      order by 1, 2`,
  })
  t.same(kept, there)
  await database.query({ text: `delete from track_listing where asset_guid = 't0'` })
  const [left] = await readStale(database, [{ asset: 'key', version: 1 }])
  t.equal(left?.current, tracks.length - 1)
})
