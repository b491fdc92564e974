import t from 'tap'
import { openDatabase, ping, type Query } from '#shared/catalogue/database.ts'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { earlierJobs } from '#shared/catalogue/jobs/read-cancellations.ts'
import { markAnnounced, recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { sweepJobs } from '#shared/catalogue/jobs/sweep-jobs.ts'
import { readMade } from '#shared/catalogue/tracks/asset-table.ts'
import { findTrack } from '#shared/catalogue/tracks/read-tracks.ts'
import { HARD_LIMIT_MS } from '#shared/contracts/stages.ts'
import { timeLimit, until } from '../../support/patience.ts'
import {
  accepted,
  again,
  catalogues,
  ended,
  event,
  failed,
  jobOf,
  made,
  recordDue,
} from './fixture.ts'

// What meets in one batch, and what meets what another process does.
const { database, dsn } = await (await catalogues(t))()
const stale = { olderThanSeconds: 3600, limit: 1000, sweptLessThan: 3 }

const column = async (job: string, what: string): Promise<unknown> => {
  const text = `select ${what} as value from job where id = $1`
  return (await database.query<{ value: unknown }>({ text }, [job]))[0]?.value
}
const set = (job: string, what: string) =>
  database.query({ text: `update job set ${what} where id = $1` }, [job])
const setWatch = (job: string, what: string) =>
  database.query({ text: `update watch set ${what} where job = $1` }, [job])
/** The run and the sweeps of a job that the watchdog would sweep now; undefined if it would not. */
const isStale = async (job: string) => {
  const text = `select run, swept from watch where job = $1 and since < now() - interval '1 h'`
  return (await database.query<{ run: number; swept: number }>({ text }, [job]))[0]
}

t.test(
  'a failed verdict is mended from the very same asset, in a batch of others',
  async (t) => {
    const track = 'mended'
    await recordRuns(database, [ended(accepted(['bpm'], { track }))])
    const [same, revision, version, asset, other] = [
      accepted(['bpm'], { track }),
      accepted(['bpm'], { track }),
      accepted(['bpm'], { track }),
      accepted(['key'], { track }),
      accepted(['bpm'], { track: 'another' }),
    ] as const
    const due = await recordDue(database, [
      ended(same, { bpm: failed() }),
      ended(revision, { bpm: failed() }, 'f02'),
      ended(version, { bpm: failed('no', 2) }),
      ended(asset, { key: failed() }),
      ended(other, { bpm: failed() }),
    ])
    const state = ({ job }: { job: string }) => due.find((each) => each.job === job)?.state
    t.equal(state(same), 'done')
    t.same([revision, version, asset, other].map(state), [
      'failed',
      'failed',
      'failed',
      'failed',
    ])
    const mended = due.find(({ job }) => job === same.job)?.verdicts.bpm
    t.match(mended, { ...made('bpm'), revision: 'f01', run: 1 }, 'with its small result')
    t.same(Object.keys((await column(asset.job, 'verdicts')) as object), ['key'])
  },
)

t.test('in one batch what was made beats what failed, in either order', async (t) => {
  for (const isMadeFirst of [true, false]) {
    const track = `both-${isMadeFirst}`
    const runs = [
      ended(accepted(['bpm'], { track })),
      ended(accepted(['bpm'], { track }), { bpm: failed() }),
    ]
    await recordRuns(database, isMadeFirst ? runs : runs.reverse())
    t.match(await findTrack(database, track), { assets: [{ asset: 'bpm', state: 'made' }] })
  }
})

t.test('in one batch the latest accepted job decides the revision', async (t) => {
  for (const isYoungFirst of [true, false]) {
    const track = `young-${isYoungFirst}`
    const young = accepted(['bpm'], { track, accepted: '2026-03-02T10:00:00Z' })
    const old = accepted(['key'], { track })
    const runs = [ended(young, {}, 'f02'), ended(old, {}, 'f01')]
    await recordRuns(database, isYoungFirst ? runs : runs.reverse())
    t.match(await findTrack(database, track), { revision: 'f02' })
  }
})

t.test('what a run made of other bytes or in another version is recorded, too', async (t) => {
  const run = accepted(['bpm'], { track: 'bytes' })
  await recordRuns(database, [ended(run)])
  await recordRuns(database, [ended(run, {}, 'f02')])
  await recordRuns(database, [ended(run, { bpm: made('two', 2) })])
  const text = `select revision, version from asset join master on master.id = asset.master
    where asset_guid = 'bytes' order by 1, 2`
  t.same(await database.query({ text }), [
    { revision: 'f01', version: 1 },
    { revision: 'f01', version: 2 },
    { revision: 'f02', version: 1 },
  ])
})

t.test('within a run what failed first and was made then is made', async (t) => {
  const run = accepted(['bpm'])
  await recordRuns(database, [ended(run, { bpm: failed() })])
  const due = await recordDue(database, [ended(run)])
  t.match(due, [{ state: 'done', run: 1 }])
  const second = { ...ended(again(run, { run: 2 })), verdicts: {} }
  await recordRuns(database, [second])
  t.match(await jobOf(database, run.job), { run: 2, state: 'accepted' }, 'a higher run is news')
})

t.test(
  'a claim to announce holds for longer than a step, and not for much longer',
  async (t) => {
    const run = accepted(['bpm'])
    const held = async () =>
      Number(await column(run.job, 'extract(epoch from claimed_until - now())'))
    const isHeld = async () => {
      const seconds = await held()
      // Of the quarter of a minute the machine may have taken some before it looked.
      t.ok(seconds > HARD_LIMIT_MS / 1000 - 5 && seconds <= 15, `${seconds} s`)
    }
    t.match(await recordDue(database, [ended(run)]), [{ claimed: false }])
    await isHeld()
    t.match(await recordDue(database, [ended(run)]), [{ claimed: true }])
    await set(run.job, 'claimed_until = now()')
    t.match(await recordDue(database, [ended(run)]), [{ claimed: false }], 'its owner has gone')
    await isHeld()
    t.match(await recordDue(database, [ended(run)]), [{ claimed: true }])
  },
)

t.test('a redrive is watched and ends anew, and has all its sweeps', async (t) => {
  const run = accepted(['bpm'])
  await markAnnounced(database, await recordDue(database, [ended(run)]))
  await set(run.job, `ended_at = now() - interval '2 h'`)
  await acceptJobs(database, [again(run, { run: 2 })])
  await setWatch(run.job, `since = since - interval '2 h'`)
  t.match(await isStale(run.job), { swept: 0, run: 2 })
  await recordRuns(database, [ended(again(run, { run: 2 }))])
  const endedAt = (await jobOf(database, run.job))?.ended
  t.ok(endedAt && Date.now() - endedAt.getTime() < 3600_000, `${endedAt}`)
  // One that nobody accepted before it ended has an end of its own as well.
  await set(run.job, `ended_at = now() - interval '2 h'`)
  await recordRuns(database, [ended(again(run, { run: 3 }))])
  const third = (await jobOf(database, run.job))?.ended
  t.ok(third && Date.now() - third.getTime() < 3600_000, `${third}`)
})

t.test('a job that is redriven while it is watched has all its sweeps again', async (t) => {
  const run = accepted(['bpm'])
  await acceptJobs(database, [run])
  await setWatch(run.job, `since = now() - interval '2 h', swept = 2`)
  await acceptJobs(database, [again(run, { run: 2 })])
  t.equal(await isStale(run.job), undefined, 'its clock has begun again')
  await setWatch(run.job, `since = now() - interval '2 h'`)
  t.match(await isStale(run.job), { swept: 0, run: 2 })
})

t.test('a job is watched until it has been announced', async (t) => {
  const run = accepted(['bpm'])
  await acceptJobs(database, [run])
  const due = await recordDue(database, [ended(run)])
  await setWatch(run.job, `since = now() - interval '2 h'`)
  t.ok(await isStale(run.job), 'ended, and not announced')
  await markAnnounced(database, due)
  t.equal(await isStale(run.job), undefined)
})

t.test('a part of the answer does not put off the watchdog', async (t) => {
  const run = accepted(['bpm', 'key'])
  await acceptJobs(database, [run])
  await setWatch(run.job, `since = now() - interval '2 h', swept = 1`)
  await recordRuns(database, [ended(again(run, {}, ['bpm']))])
  t.match(await isStale(run.job), { swept: 1 })
  await acceptJobs(database, [again(run, {}, ['flac'])])
  t.equal(await isStale(run.job), undefined, 'but more that is owed does')
  await setWatch(run.job, `since = now() - interval '2 h'`)
  const swept = await sweepJobs(database, stale)
  const mine = swept.find(({ job }) => job === run.job)
  t.same(mine?.request.derivative_assets, ['bpm', 'flac', 'key'])
})

/** Waits until `count` connections wait for a lock of another one. */
const waitFor = (count: number) =>
  until(async () => {
    const text = 'select from pg_locks where not granted'
    return (await database.query({ text })).length >= count
  })

t.test('a sweep starts the clock again; what has ended meanwhile is not swept', async (t) => {
  const [run, done] = [accepted(['bpm']), accepted(['bpm'])]
  await acceptJobs(database, [run, done])
  for (const { job } of [run, done]) await setWatch(job, `since = now() - interval '2 h'`)
  let sweep: ReturnType<typeof sweepJobs> | undefined
  await database.transaction(async (query) => {
    await query({ text: 'delete from watch where job = $1' }, [done.job])
    sweep = sweepJobs(database, stale)
    await waitFor(1)
  })
  const swept = (await sweep)?.map(({ job }) => job)
  t.ok(swept?.includes(run.job))
  t.notOk(swept?.includes(done.job))
  t.equal(await isStale(run.job), undefined)
})

t.test('of two watchdogs that look at the same moment one sweeps', async (t) => {
  const run = accepted(['bpm'])
  await acceptJobs(database, [run])
  await setWatch(run.job, `since = now() - interval '2 h'`)
  const other = openDatabase({ dsn })
  t.teardown(() => other.close())
  const sweeps: ReturnType<typeof sweepJobs>[] = []
  // Both have looked before either can claim.
  await database.transaction(async (query) => {
    await query({ text: 'select from watch where job = $1 for update' }, [run.job])
    sweeps.push(...[database, other].map((each) => sweepJobs(each, stale)))
    await waitFor(2)
  })
  const swept = (await Promise.all(sweeps)).flat().filter(({ job }) => job === run.job)
  t.equal(swept.length, 1)
})

t.test('of two ends of one job at the same moment neither is lost', async (t) => {
  const run = accepted(['bpm', 'key'])
  await acceptJobs(database, [run])
  const other = openDatabase({ dsn })
  t.teardown(() => other.close())
  const records: ReturnType<typeof recordDue>[] = []
  await database.transaction(async (query) => {
    await query({ text: 'select from job where id = $1 for update' }, [run.job])
    records.push(recordDue(database, [ended(again(run, {}, ['bpm']))]))
    records.push(recordDue(other, [ended(again(run, {}, ['key']))]))
    await waitFor(2)
  })
  const due = (await Promise.all(records)).flat()
  t.match(due, [{ state: 'done', assets: ['bpm', 'key'] }])
})

t.test('a letter of an earlier run does not call off the watch over this one', async (t) => {
  const run = accepted(['bpm'])
  await acceptJobs(database, [run, again(run, { run: 2 })])
  await setWatch(run.job, `since = now() - interval '2 h'`)
  await recordEvents(database, [event(run, { verdict: 'dead-lettered', run: 1 })])
  t.match(await isStale(run.job), { run: 2 })
  await recordEvents(database, [event(run, { verdict: 'dead-lettered', run: 2 })])
  t.equal(await isStale(run.job), undefined)
})

t.test('a transaction that throws has changed nothing, whatever it throws', async (t) => {
  const run = accepted(['bpm'])
  await acceptJobs(database, [run])
  const work = database.transaction(async (query) => {
    await query({ text: `update job set route = 'x' where id = $1` }, [run.job])
    throw new Error('on second thoughts')
  })
  await t.rejects(work, { message: 'on second thoughts' })
  t.equal(await column(run.job, 'route'), 'cloud')
})

t.test('a connection that was given up is not used again', async (t) => {
  const run = accepted(['bpm'])
  await acceptJobs(database, [run])
  const only = openDatabase({ dsn, poolSize: 1, statementMs: 600_000 })
  t.teardown(() => only.close())
  await database.transaction(async (query) => {
    await query({ text: 'select from job where id = $1 for update' }, [run.job])
    const stop = new AbortController()
    const rejected = t.rejects(recordDue(only, [ended(run)], stop.signal), {
      message: 'enough',
    })
    await waitFor(1)
    stop.abort(new Error('enough'))
    await rejected
    await ping(only, timeLimit(5_000))
  })
})

t.test('rows are found by their keys alone, also before there are statistics', async (t) => {
  const ids = ['bpm', 'key']
  const runs = Array.from({ length: 100 }, () => ended(accepted(ids)))
  await recordRuns(database, runs)
  const keys = runs.flatMap(({ request }) =>
    ids.map((asset) => ({ track: request.asset_guid, revision: 'f01', asset, version: 1 })),
  )
  const jobs = runs.map(({ job, request }) => ({ job, request }))
  await database.transaction(async (query) => {
    await looksUp(query, ['master', 'asset'], 2 * keys.length, async () => {
      t.equal((await readMade(query, keys)).length, keys.length)
    })
    await looksUp(query, ['job'], jobs.length, async () => {
      t.equal((await earlierJobs({ ...database, query }, jobs)).size, jobs.length)
    })
  })

  async function looksUp(
    query: Query,
    tables: readonly string[],
    most: number,
    act: () => Promise<void>,
  ): Promise<void> {
    // What this connection has counted: also before the transaction, if it has not passed it on.
    const counted = async () => {
      const text = `select coalesce(sum(idx_scan), 0)::int as scans, coalesce(sum(seq_tup_read), 0)::int as read
        from pg_stat_xact_user_tables where relname = any($1)`
      const [counts] = await query<{ scans: number; read: number }>({ text }, [tables])
      return counts ?? { scans: 0, read: 0 }
    }
    const before = await counted()
    await act()
    const after = await counted()
    const [scans, read] = [after.scans - before.scans, after.read - before.read]
    t.ok(scans > 0 && scans <= most, `${scans} look-ups in ${tables}`)
    t.ok(read <= most, `${read} rows read one after the other in ${tables}`)
  }
})
