import { randomInt, randomUUID } from 'node:crypto'
import t from 'tap'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { cancel, endCancelled, openCancellations } from '#shared/catalogue/jobs/cancel-jobs.ts'
import { earlierJobs } from '#shared/catalogue/jobs/read-cancellations.ts'
import { markAnnounced, recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { putInWaiting, releaseWaiting } from '#shared/catalogue/jobs/waiting-jobs.ts'
import {
  findRelease,
  listReleases,
  MAX_OF_RELEASE,
  releaseTracks,
} from '#shared/catalogue/releases/read-releases.ts'
import { migrateBatches } from '#shared/catalogue/schema/batches.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import { MIGRATIONS } from '#shared/catalogue/schema/migrations.ts'
import type { RunAccepted, RunEnded } from '#shared/contracts/messages/run.ts'
import { testPostgres } from '../../../tools/local/postgres/temporary.ts'
import {
  accepted,
  again,
  catalogues,
  ended,
  event,
  failed,
  jobOf,
  recordDue,
} from './fixture.ts'

// Every test makes releases of its own, so that one database will do.
const { database } = await (await catalogues(t))()
const by = { by: 'a person', reason: 'the wrong masters' }
const NONE = { running: 0, done: 0, partial: 0, failed: 0, cancelled: 0 }

/** A number that no other test has. */
const newRelease = () => randomInt(1, 2 ** 47)

/** A job that names a release. */
function of(release: number, over: Parameters<typeof accepted>[1] = {}, assets = ['bpm']) {
  const run = accepted(assets, over)
  return { ...run, request: { ...run.request, release_id: release } }
}

const stateOf = async (release: number) => (await findRelease(database, release))?.state

t.test(
  'a release is the tracks whose jobs name it, and is done when all of them are',
  async (t) => {
    const release = newRelease()
    t.equal(await findRelease(database, release), undefined)
    const [one, two] = [of(release), of(release)]
    await acceptJobs(database, [one, accepted(['bpm'])])
    const first = await findRelease(database, release)
    t.match(first, {
      release,
      state: 'running',
      counts: { ...NONE, running: 1 },
      isMore: false,
    })
    await acceptJobs(database, [two])
    await recordRuns(database, [ended(one)])
    t.match(await findRelease(database, release), {
      ...{ state: 'running', counts: { ...NONE, running: 1, done: 1 } },
      firstSeen: first?.firstSeen,
    })
    await markAnnounced(database, await recordDue(database, [ended(two)]))
    const last = await findRelease(database, release)
    t.match(last, { state: 'done', counts: { ...NONE, done: 2 } })
    t.ok((last?.changed ?? 0) >= (first?.changed ?? 1))
  },
)

t.test('what is recorded twice, or in any other order, comes to the same', async (t) => {
  const orders = [
    [0, 1, 2, 3],
    [3, 2, 1, 0],
    [2, 0, 3, 1],
    [1, 1, 0, 0, 3, 3, 2, 2],
    [3, 0, 3, 0, 1, 2, 1, 2],
  ]
  for (const order of orders) {
    const release = newRelease()
    const [one, two] = [of(release), of(release)]
    const acts = [
      () => acceptJobs(database, [one, one]),
      () => acceptJobs(database, [two]),
      () => recordRuns(database, [ended(one)]),
      () =>
        recordRuns(database, [ended(two, { bpm: failed() }), ended(two, { bpm: failed() })]),
    ]
    for (const act of order) await acts[act]?.()
    t.match(
      await findRelease(database, release),
      { state: 'partial', counts: { ...NONE, done: 1, failed: 1 } },
      order.join(),
    )
    t.equal((await releaseTracks(database, release, { limit: 10 })).tracks.length, 2)
  }
})

t.test('jobs of one release that are recorded at once are all there', async (t) => {
  const [one, other] = [newRelease(), newRelease()]
  const batches = Array.from({ length: 12 }, () =>
    Array.from({ length: 20 }, (_, n) => of(n % 2 === 0 ? one : other)),
  )
  await Promise.all(batches.map((batch) => acceptJobs(database, batch)))
  await Promise.all(
    batches.map((batch) =>
      recordRuns(
        database,
        batch.toReversed().map((run) => ended(run)),
      ),
    ),
  )
  for (const release of [one, other])
    t.match(await findRelease(database, release), { state: 'done', counts: { done: 120 } })
})

t.test('two jobs over one track are one track, in the state of the later one', async (t) => {
  const release = newRelease()
  const track = `twice-${release}`
  const at = (minute: number) => `2026-03-01T10:0${minute}:00.000Z`
  const early = of(release, { track, accepted: at(1) })
  const late = of(release, { track, accepted: at(2) }, ['key'])
  // Of no release, or of another one: it says nothing of this.
  const others = [accepted(['bpm'], { track, accepted: at(3) }), of(newRelease(), { track })]
  await acceptJobs(database, [late, early, ...others])
  await recordRuns(database, [ended(early)])
  t.match(await findRelease(database, release), { counts: { ...NONE, running: 1 } })
  await recordRuns(database, [ended(late, { key: failed() })])
  t.match(await findRelease(database, release), {
    ...{ state: 'failed', counts: { ...NONE, failed: 1 } },
  })
  t.same(await releaseTracks(database, release, { limit: 10 }), {
    tracks: [
      {
        ...{ asset_guid: track, title: null, artist: null, state: 'failed' },
        request_id: late.request.request_id,
      },
    ],
  })
})

t.test('a redrive after a failure opens the release, and may make it done', async (t) => {
  const release = newRelease()
  const run = of(release)
  await acceptJobs(database, [run, of(release, { requestId: run.request.request_id })])
  const [letter] = [event(run, { verdict: 'dead-lettered' })]
  await recordEvents(database, [letter])
  t.match(await findRelease(database, release), { counts: { running: 1, failed: 1 } })
  await acceptJobs(database, [again(run, { run: 2 })])
  t.match(await findRelease(database, release), { counts: { running: 2, failed: 0 } })
  await recordRuns(database, [ended(again(run, { run: 2 }))])
  await recordEvents(database, [letter])
  t.match(await findRelease(database, release), { counts: { running: 1, done: 1, failed: 0 } })
})

t.test(
  'a job that waits for its quota is in the release, and once it has been let go',
  async (t) => {
    const release = newRelease()
    const run = of(release)
    await putInWaiting(database, [run])
    t.equal(await stateOf(release), 'running')
    await releaseWaiting(database, new Map(), 10, async () => {})
    t.match(await jobOf(database, run.job), { state: 'accepted' })
    await recordRuns(database, [ended(run)])
    t.equal(await stateOf(release), 'done')
  },
)

t.test('who leaves the release out when asking again leaves the job in it', async (t) => {
  const release = newRelease()
  const run = of(release)
  const { release_id: _, ...request } = run.request
  await acceptJobs(database, [{ ...run, request }])
  t.equal(await findRelease(database, release), undefined)
  await acceptJobs(database, [again(run, { run: 2 })])
  t.equal(await stateOf(release), 'running', 'it may be named later')
  await acceptJobs(database, [{ ...run, request, run: 3 }])
  await recordRuns(database, [ended({ ...run, request, run: 3 })])
  t.equal(await stateOf(release), 'done')
})

t.test('each state of a release', async (t) => {
  const cases = [
    [['done', 'failed'], 'partial'],
    [['failed', 'failed'], 'failed'],
    [['partial', 'partial'], 'partial'],
    [['cancelled', 'cancelled'], 'cancelled'],
    [['cancelled', 'failed'], 'failed'],
    [['cancelled', 'done'], 'partial'],
  ] as const
  for (const [tracks, state] of cases) {
    const release = newRelease()
    const runs = tracks.map(() => of(release, {}, ['bpm', 'key']))
    await acceptJobs(database, runs)
    for (const [nth, run] of runs.entries()) await bring(run, tracks[nth])
    t.equal(await stateOf(release), state, tracks.join())
  }
})

/** Brings a job of `bpm` and `key` into a state. */
async function bring(run: RunAccepted, state: string | undefined): Promise<void> {
  if (state === 'cancelled') {
    const { request_id: request } = run.request
    const outcome = await cancel(database, { request, job: run.job }, by)
    if (outcome.result === 'cancelled') await endCancelled(database, outcome.cancellation)
    return
  }
  const verdicts: Record<string, RunEnded['verdicts']> = {
    ...{ done: {}, partial: { key: failed() }, failed: { bpm: failed(), key: failed() } },
  }
  await recordRuns(database, [ended(run, verdicts[state ?? ''])])
}

t.test('a list has those that changed last first, by pages and by states', async (t) => {
  const releases = Array.from({ length: 7 }, newRelease)
  const runs = releases.map((release) => of(release))
  for (const run of runs) await acceptJobs(database, [run])
  const [first, second] = runs as [RunAccepted, RunAccepted]
  await recordRuns(database, [ended(second)])
  await recordRuns(database, [ended(first)])
  const expected = [releases[0], releases[1], ...releases.slice(2).toReversed()]
  const seen = []
  let next: Awaited<ReturnType<typeof listReleases>>['next']
  do {
    const page = await listReleases(database, { limit: 3, after: next })
    seen.push(...page.releases.map(({ release }) => release))
    next = page.next
  } while (next !== undefined)
  t.same(
    new Set(seen.slice(0, 7)),
    new Set(expected),
    'those of one millisecond stand in the order of their numbers',
  )
  t.equal(new Set(seen).size, seen.length)
  const changed = await database.query<{ changed: Date }>({
    text: 'select changed from release',
  })
  t.equal(seen.length, changed.length)

  const running = await listReleases(database, { limit: 4, state: 'running' })
  t.ok(running.releases.every(({ state }) => state === 'running'))
  t.same(
    new Set([
      ...running.releases.map(({ release }) => release),
      ...(
        await listReleases(database, { limit: 1, state: 'running', after: running.next })
      ).releases.map(({ release }) => release),
    ]),
    new Set(releases.slice(2)),
  )
  const none = await listReleases(database, { limit: 1000, state: 'cancelled' })
  t.ok(none.releases.every(({ counts }) => counts.cancelled > 0))
  t.equal(none.next, undefined)
})

t.test('tracks of a release come in pages, with their names', async (t) => {
  const release = newRelease()
  const runs = ['a', 'b', 'c'].map((name) => of(release, { track: `${name}-${release}` }))
  await acceptJobs(database, runs)
  const [run] = runs as [RunAccepted]
  const request = { ...run.request, title: 'Night Bus', artist: '' }
  await recordRuns(database, [ended({ ...run, request })])
  const { tracks, next } = await releaseTracks(database, release, { limit: 2 })
  t.match(tracks, [
    { title: 'Night Bus', artist: null, state: 'done' },
    { title: null, state: 'running' },
  ])
  t.equal(next, `b-${release}`)
  const rest = await releaseTracks(database, release, { limit: 2, after: next })
  t.match(rest, { tracks: [{ asset_guid: `c-${release}` }] })
  t.notOk('next' in rest)
})

t.test('a release is cancelled by one row, whatever requests its jobs are of', async (t) => {
  const release = newRelease()
  const [done, first, ...open] = Array.from({ length: 2100 }, () => of(release)) as [
    RunAccepted,
    RunAccepted,
    ...RunAccepted[],
  ]
  const other = accepted(['bpm'], { requestId: first.request.request_id })
  await acceptJobs(database, [done, first, ...open, other])
  await recordRuns(database, [ended(done)])
  t.same(await cancel(database, { release: newRelease() }, by), { result: 'unknown' })
  const outcome = await cancel(database, { release }, by)
  t.match(outcome, {
    ...{ result: 'cancelled', isNew: true },
    cancellation: { kind: 'release', id: `${release}`, ...by },
  })
  if (outcome.result !== 'cancelled') return
  t.match(await openCancellations(database), [outcome.cancellation])
  t.same(await endCancelled(database, outcome.cancellation), { ended: 2099, isAll: true })
  t.match(await findRelease(database, release), {
    ...{ state: 'partial', counts: { ...NONE, done: 1, cancelled: 2099 } },
  })
  t.match(await jobOf(database, other.job), { state: 'accepted' }, 'of no release')
  t.match(await cancel(database, { release }, by), {
    ...{ isNew: false, cancellation: { number: outcome.cancellation.number } },
  })

  const unheard = of(release)
  const earlier = await earlierJobs(database, [first, unheard])
  t.match(earlier.get(first.job), { isCancelled: true, cancelled: outcome.cancellation.before })
  t.match(earlier.get(unheard.job), { run: 0, cancelled: outcome.cancellation.before })

  const late = of(release)
  const birth = event(late, { verdict: 'accepted', request: late.request, at: late.accepted })
  await recordEvents(database, [event(late, { verdict: 'cancelled', units: [] }), birth])
  t.match(await jobOf(database, late.job), { state: 'cancelled' }, 'a row that came too late')

  const accepts = new Date(outcome.cancellation.before.getTime() + 1).toISOString()
  await acceptJobs(database, [again(first, { accepted: accepts, run: 2 })])
  t.match(await jobOf(database, first.job), { state: 'accepted', run: 2 }, 'asked for again')
  t.same(await endCancelled(database, outcome.cancellation), { ended: 0, isAll: true })
})

t.test('a release of which all has ended cannot be cancelled', async (t) => {
  const release = newRelease()
  const [done, gone] = [of(release), of(release)]
  await acceptJobs(database, [done, gone])
  await recordRuns(database, [ended(done)])
  await bring(gone, 'cancelled')
  t.same(await cancel(database, { release }, by), { result: 'ended' })
})

t.test('of more than ten thousand jobs as many are counted', async (t) => {
  const release = newRelease()
  const runs = Array.from({ length: MAX_OF_RELEASE + 1 }, () => of(release))
  await acceptJobs(database, runs)
  t.match(await findRelease(database, release), {
    ...{ isMore: true, state: 'running', counts: { running: MAX_OF_RELEASE } },
  })
})

t.test('releases of jobs that are older than the table are found in batches', async (t) => {
  const postgres = await testPostgres()
  t.teardown(() => postgres.stop())
  const old = postgres.open(await postgres.database())
  await migrate(old, undefined, MIGRATIONS.slice(0, 1))
  await old.query({
    text: `
      insert into job (id, request_id, asset_guid, run, route, request, wanted, state, accepted_at, ended_at)
      select substr(md5(n::text), 1, 24), gen_random_uuid()::text, 'old-' || n, 1, 'cloud',
        case when n % 2 = 0 then json_build_object('release_id', n % 10 - 4) else '{}'::json end, '{"bpm":1}', 'done',
        timestamptz '2026-01-01T00:00:00Z' + n * interval '1 hour', timestamptz '2026-02-01T00:00:00Z'
      from generate_series(1, 1200) n`,
  })
  await migrate(old)
  t.equal(await findRelease(old, -4), undefined)
  const meanwhile = of(-4, { track: `new-${randomUUID()}` })
  await acceptJobs(old, [meanwhile])
  await migrateBatches(old)
  t.match(await findRelease(old, -4), {
    ...{ state: 'running', counts: { ...NONE, running: 1, done: 120 } },
    firstSeen: new Date('2026-01-01T10:00:00Z'),
  })
  t.match(await listReleases(old, { limit: 10 }), {
    releases: [
      { release: -4 },
      { release: 4 },
      { release: 2 },
      { release: 0 },
      { release: -2 },
    ],
  })
})
