import t from 'tap'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import { markAnnounced, recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { findTrack } from '#shared/catalogue/tracks/read-tracks.ts'
import {
  accepted,
  again,
  catalogues,
  ended,
  failed,
  jobOf,
  made,
  recordDue,
} from './fixture.ts'

// Every test makes jobs and tracks of its own, so that one database will do.
const { database } = await (await catalogues(t))()

t.test('a job is there once it is accepted, and waits for all its assets', async (t) => {
  const run = accepted(['bpm', 'key'])
  await acceptJobs(database, [run])
  const [job] = await jobsOfRequest(database, run.request.request_id.toUpperCase())
  t.match(job, { job: run.job, run: 1, state: 'accepted', revision: null, ended: null })
  t.same(job?.assets, { bpm: null, key: null })
  t.same(job?.accepted, new Date(run.accepted))
})

t.test(
  'a job of five assets, recorded and announced, is a row of 500 bytes at most',
  async (t) => {
    const track = '4f1c1de5-0c4e-4f0c-9d57-3c1b6a5d7e21'
    const run = accepted(['bpm', 'key', 'waveform', 'loudness', 'aac-128'], { track })
    const named = { asset_id: 8_500_000, title: 'A Title of Usual Length', artist: 'An Artist' }
    const request = { ...run.request, ...named }
    await acceptJobs(database, [{ ...run, request }])
    await markAnnounced(
      database,
      await recordDue(database, [ended({ ...run, request }, {}, 'g1700000000123456')]),
    )
    const text = 'select pg_column_size(job.*) as bytes from job where id = $1'
    const [row] = await database.query<{ bytes: number }>({ text }, [run.job])
    t.ok((row?.bytes ?? 0) > 200 && (row?.bytes ?? 0) <= 500, `${row?.bytes} bytes`)
  },
)

t.test('a request has a job for each of its tracks', async (t) => {
  const requestId = 'a6a0f3a0-6f8e-4a63-8a3e-0e6f0d5c1b2a'
  const runs = ['b', 'a', 'c'].map((track) => accepted(['bpm'], { track, requestId }))
  await acceptJobs(database, runs)
  const jobs = await jobsOfRequest(database, requestId)
  t.same(
    jobs.map(({ track }) => track),
    ['a', 'b', 'c'],
  )
  t.same(await jobsOfRequest(database, 'not a request'), [])
})

t.test('accepting the same job again, in one batch or the next, changes nothing', async (t) => {
  const run = accepted(['bpm', 'key'])
  await acceptJobs(database, [run, run])
  await markAnnounced(database, await recordDue(database, [ended(run)]))
  const row = () => database.query({ text: 'select xmin, * from job where id = $1' }, [run.job])
  const before = await row()
  await acceptJobs(database, [run, again(run, {}, ['key'])])
  t.same(await row(), before)
})

t.test('a complete job is announced with all its data', async (t) => {
  const run = accepted(['key', 'bpm'])
  await acceptJobs(database, [run])
  const [announcement, ...others] = await recordDue(database, [
    ended(run, { key: failed('no key here') }),
  ])
  t.same(others, [])
  t.match(announcement, {
    ...{ job: run.job, run: 1, route: 'cloud', state: 'partial', revision: 'f01' },
    request: { ...run.request, derivative_assets: ['bpm', 'key'] },
    assets: ['bpm', 'key'],
    verdicts: {
      bpm: { ...made('bpm'), revision: 'f01' },
      key: { ...failed('no key here'), revision: 'f01' },
    },
  })
})

t.test('it ends done, partial or failed by what was made', async (t) => {
  const runs = Array.from({ length: 3 }, () => accepted(['bpm', 'key']))
  const [one, two, three] = runs as [(typeof runs)[0], (typeof runs)[0], (typeof runs)[0]]
  await recordRuns(database, [
    ended(one),
    ended(two, { key: failed() }),
    ended(three, { key: failed(), bpm: failed() }, null),
  ])
  for (const [run, state] of [
    [one, 'done'],
    [two, 'partial'],
    [three, 'failed'],
  ] as const) {
    const job = await jobOf(database, run.job)
    t.equal(job?.state, state)
    t.ok(job?.ended)
  }
  t.equal(await findTrack(database, three.request.asset_guid), undefined, 'no master was read')
})

t.test('a run that ends before anybody recorded its job makes the job', async (t) => {
  const run = accepted(['bpm'])
  const [announcement] = await recordDue(database, [ended(run), ended(run)])
  t.equal(announcement?.job, run.job)
  await acceptJobs(database, [run])
  t.equal((await jobOf(database, run.job))?.state, 'done', 'and a late acceptance is no news')
})

t.test('until it is marked announced, every redelivery announces again', async (t) => {
  const run = accepted(['bpm'])
  const first = await recordDue(database, [ended(run)])
  const second = await recordDue(database, [ended(run)])
  t.equal(second[0]?.id, first[0]?.id, 'as one and the same')
  await markAnnounced(database, second)
  await markAnnounced(database, second)
  t.same(await recordDue(database, [ended(run)]), [])
  t.ok((await jobOf(database, run.job))?.announced)
})

t.test('more assets widen a job, and it is announced again with all of them', async (t) => {
  const run = accepted(['bpm'])
  const wider = again(run, {}, ['key', 'bpm'])
  await acceptJobs(database, [run])
  const first = await recordDue(database, [ended(run)])
  await markAnnounced(database, first)
  await acceptJobs(database, [wider])
  t.match(await jobOf(database, run.job), {
    ...{ state: 'running', ended: null, announced: null },
    assets: { bpm: { state: 'made' }, key: null },
  })
  t.same(await recordDue(database, [ended(run)]), [], 'the old verdicts are not enough')
  const second = await recordDue(database, [ended(again(run, {}, ['key']))])
  t.same(second[0]?.assets, ['bpm', 'key'])
  t.not(second[0]?.id, first[0]?.id)
})

t.test(
  'two requests of one job in flight are announced once, by the last to end',
  async (t) => {
    const run = accepted(['bpm'])
    const other = again(run, {}, ['key'])
    await acceptJobs(database, [run, other])
    t.same(await recordDue(database, [ended(other)]), [])
    t.equal((await jobOf(database, run.job))?.state, 'running')
    t.same((await recordDue(database, [ended(run)]))[0]?.assets, ['bpm', 'key'])
  },
)

t.test('marking what has been widened since leaves the job open', async (t) => {
  const run = accepted(['bpm'])
  const announced = await recordDue(database, [ended(run)])
  await acceptJobs(database, [again(run, {}, ['key'])])
  await markAnnounced(database, announced)
  t.equal((await jobOf(database, run.job))?.announced, null)
  t.same((await recordDue(database, [ended(again(run, {}, ['key']))]))[0]?.assets, [
    'bpm',
    'key',
  ])
})

t.test('a redrive opens the job again and is announced for itself', async (t) => {
  const run = accepted(['bpm', 'key'])
  const second = again(run, { run: 2 })
  await markAnnounced(
    database,
    await recordDue(database, [ended(run, { key: failed(), bpm: failed() })]),
  )
  await acceptJobs(database, [second])
  t.match(await jobOf(database, run.job), { run: 2, state: 'accepted', ended: null })
  const late = ended(run, { key: failed(), bpm: failed() })
  t.same(await recordDue(database, [late]), [], 'the first run says nothing of the second')
  const announced = await recordDue(database, [ended(second)])
  t.match(announced, [{ run: 2, state: 'done' }])
  await markAnnounced(database, announced)
  t.same(await recordDue(database, [late, ended(second)]), [])
  t.equal((await jobOf(database, run.job))?.state, 'done', 'nor does it afterwards')
})

t.test('a redrive of what failed keeps what the first run made', async (t) => {
  const run = accepted(['bpm', 'key'])
  await markAnnounced(database, await recordDue(database, [ended(run, { key: failed() })]))
  const [announcement] = await recordDue(database, [ended(again(run, { run: 2 }, ['key']))])
  t.match(announcement, { run: 2, state: 'done', assets: ['bpm', 'key'] })
})

t.test('what was made is never taken back by a later failure of the same bytes', async (t) => {
  const run = accepted(['bpm'])
  const track = run.request.asset_guid
  const other = accepted(['bpm'], { track })
  await recordRuns(database, [ended(run)])
  await recordRuns(database, [ended(again(run, { run: 2 }), { bpm: failed() })])
  t.match(await jobOf(database, run.job), { state: 'done', assets: { bpm: { state: 'made' } } })
  t.match(
    await recordDue(database, [ended(other, { bpm: failed() })]),
    [{ state: 'done', verdicts: { bpm: made('bpm') } }],
    'another job gets the verdicts of what exists',
  )
  t.match(await findTrack(database, track), {
    assets: [{ state: 'made', result: { of: 'bpm' } }],
  })
})

t.test('what failed may be made later', async (t) => {
  const run = accepted(['bpm'])
  await recordRuns(database, [ended(run, { bpm: failed('not today') })])
  t.match(await findTrack(database, run.request.asset_guid), {
    assets: [{ state: 'failed', sentence: 'not today' }],
  })
  await recordRuns(database, [ended(again(run, { run: 2 }))])
  t.match(await findTrack(database, run.request.asset_guid), {
    assets: [{ state: 'made', code: undefined }],
  })
})

t.test('assets whose names mean something in JavaScript are like any other', async (t) => {
  const names = ['constructor', 'valueof', 'tostring']
  const run = accepted(names)
  await acceptJobs(database, [run])
  t.equal((await jobOf(database, run.job))?.assets.constructor, null)
  const [announcement] = await recordDue(database, [ended(run)])
  t.match(announcement, { state: 'done', assets: [...names].sort() })
})
