import t from 'tap'
import { accepted, again, catalogues, ended, failed, made } from './fixture.ts'

// Every test makes jobs and tracks of its own, so that one database will do.
const { catalogue, database } = await (await catalogues(t))(t)

t.test('a job is there once it is accepted, and waits for all its assets', async (t) => {
  const run = accepted(['bpm', 'key'])
  await catalogue.acceptJobs([run])
  const [job] = await catalogue.jobsOfRequest(run.request.request_id.toUpperCase())
  t.match(job, { job: run.job, run: 1, state: 'accepted', revision: null, ended: null })
  t.same(job?.assets, { bpm: null, key: null })
  t.same(job?.accepted, new Date(run.accepted))
})

t.test('a request has a job for each of its tracks', async (t) => {
  const requestId = 'a6a0f3a0-6f8e-4a63-8a3e-0e6f0d5c1b2a'
  const runs = ['b', 'a', 'c'].map((track) => accepted(['bpm'], { track, requestId }))
  await catalogue.acceptJobs(runs)
  const jobs = await catalogue.jobsOfRequest(requestId)
  t.same(
    jobs.map(({ track }) => track),
    ['a', 'b', 'c'],
  )
  t.same(await catalogue.jobsOfRequest('not a request'), [])
  t.equal(await catalogue.job('nobody'), undefined)
})

t.test('accepting the same job again, in one batch or the next, changes nothing', async (t) => {
  const run = accepted(['bpm', 'key'])
  await catalogue.acceptJobs([run, run])
  await catalogue.markAnnounced(await catalogue.recordRuns([ended(run)]))
  const row = () => database.query({ text: 'select xmin, * from job where id = $1' }, [run.job])
  const before = await row()
  await catalogue.acceptJobs([run, again(run, {}, ['key'])])
  t.same(await row(), before)
})

t.test('a complete job is announced with all its data', async (t) => {
  const run = accepted(['key', 'bpm'])
  await catalogue.acceptJobs([run])
  const [announcement, ...others] = await catalogue.recordRuns([
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
  await catalogue.recordRuns([
    ended(one),
    ended(two, { key: failed() }),
    ended(three, { key: failed(), bpm: failed() }, null),
  ])
  for (const [run, state] of [
    [one, 'done'],
    [two, 'partial'],
    [three, 'failed'],
  ] as const) {
    const job = await catalogue.job(run.job)
    t.equal(job?.state, state)
    t.ok(job?.ended)
  }
  t.equal(await catalogue.track(three.request.asset_guid), undefined, 'no master was read')
})

t.test('a run that ends before anybody recorded its job makes the job', async (t) => {
  const run = accepted(['bpm'])
  const [announcement] = await catalogue.recordRuns([ended(run), ended(run)])
  t.equal(announcement?.job, run.job)
  await catalogue.acceptJobs([run])
  t.equal((await catalogue.job(run.job))?.state, 'done', 'and a late acceptance is no news')
})

t.test('until it is marked announced, every redelivery announces again', async (t) => {
  const run = accepted(['bpm'])
  const first = await catalogue.recordRuns([ended(run)])
  const second = await catalogue.recordRuns([ended(run)])
  t.equal(second[0]?.id, first[0]?.id, 'as one and the same')
  await catalogue.markAnnounced(second)
  await catalogue.markAnnounced(second)
  t.same(await catalogue.recordRuns([ended(run)]), [])
  t.ok((await catalogue.job(run.job))?.announced)
})

t.test('more assets widen a job, and it is announced again with all of them', async (t) => {
  const run = accepted(['bpm'])
  const wider = again(run, {}, ['key', 'bpm'])
  await catalogue.acceptJobs([run])
  const first = await catalogue.recordRuns([ended(run)])
  await catalogue.markAnnounced(first)
  await catalogue.acceptJobs([wider])
  t.match(await catalogue.job(run.job), {
    ...{ state: 'running', ended: null, announced: null },
    assets: { bpm: { state: 'made' }, key: null },
  })
  t.same(await catalogue.recordRuns([ended(run)]), [], 'the old verdicts are not enough')
  const second = await catalogue.recordRuns([ended(again(run, {}, ['key']))])
  t.same(second[0]?.assets, ['bpm', 'key'])
  t.not(second[0]?.id, first[0]?.id)
})

t.test(
  'two requests of one job in flight are announced once, by the last to end',
  async (t) => {
    const run = accepted(['bpm'])
    const other = again(run, {}, ['key'])
    await catalogue.acceptJobs([run, other])
    t.same(await catalogue.recordRuns([ended(other)]), [])
    t.equal((await catalogue.job(run.job))?.state, 'running')
    t.same((await catalogue.recordRuns([ended(run)]))[0]?.assets, ['bpm', 'key'])
  },
)

t.test('marking what has been widened since leaves the job open', async (t) => {
  const run = accepted(['bpm'])
  const announced = await catalogue.recordRuns([ended(run)])
  await catalogue.acceptJobs([again(run, {}, ['key'])])
  await catalogue.markAnnounced(announced)
  t.equal((await catalogue.job(run.job))?.announced, null)
  t.same((await catalogue.recordRuns([ended(again(run, {}, ['key']))]))[0]?.assets, [
    'bpm',
    'key',
  ])
})

t.test('a redrive opens the job again and is announced for itself', async (t) => {
  const run = accepted(['bpm', 'key'])
  const second = again(run, { run: 2 })
  await catalogue.markAnnounced(
    await catalogue.recordRuns([ended(run, { key: failed(), bpm: failed() })]),
  )
  await catalogue.acceptJobs([second])
  t.match(await catalogue.job(run.job), { run: 2, state: 'accepted', ended: null })
  const late = ended(run, { key: failed(), bpm: failed() })
  t.same(await catalogue.recordRuns([late]), [], 'the first run says nothing of the second')
  const announced = await catalogue.recordRuns([ended(second)])
  t.match(announced, [{ run: 2, state: 'done' }])
  await catalogue.markAnnounced(announced)
  t.same(await catalogue.recordRuns([late, ended(second)]), [])
  t.equal((await catalogue.job(run.job))?.state, 'done', 'nor does it afterwards')
})

t.test('a redrive of what failed keeps what the first run made', async (t) => {
  const run = accepted(['bpm', 'key'])
  await catalogue.markAnnounced(await catalogue.recordRuns([ended(run, { key: failed() })]))
  const [announcement] = await catalogue.recordRuns([ended(again(run, { run: 2 }, ['key']))])
  t.match(announcement, { run: 2, state: 'done', assets: ['bpm', 'key'] })
})

t.test('what was made is never taken back by a later failure of the same bytes', async (t) => {
  const run = accepted(['bpm'])
  const track = run.request.asset_guid
  const other = accepted(['bpm'], { track })
  await catalogue.recordRuns([ended(run)])
  await catalogue.recordRuns([ended(again(run, { run: 2 }), { bpm: failed() })])
  t.match(await catalogue.job(run.job), { state: 'done', assets: { bpm: { state: 'made' } } })
  t.match(
    await catalogue.recordRuns([ended(other, { bpm: failed() })]),
    [{ state: 'done', verdicts: { bpm: made('bpm') } }],
    'another job gets the verdicts of what exists',
  )
  t.match(await catalogue.track(track), { assets: [{ state: 'made', result: { of: 'bpm' } }] })
})

t.test('what failed may be made later', async (t) => {
  const run = accepted(['bpm'])
  await catalogue.recordRuns([ended(run, { bpm: failed('not today') })])
  t.match(await catalogue.track(run.request.asset_guid), {
    assets: [{ state: 'failed', sentence: 'not today' }],
  })
  await catalogue.recordRuns([ended(again(run, { run: 2 }))])
  t.match(await catalogue.track(run.request.asset_guid), {
    assets: [{ state: 'made', code: undefined }],
  })
})

t.test('assets whose names mean something in JavaScript are like any other', async (t) => {
  const names = ['constructor', 'valueof', 'tostring']
  const run = accepted(names)
  await catalogue.acceptJobs([run])
  t.equal((await catalogue.job(run.job))?.assets.constructor, null)
  const [announcement] = await catalogue.recordRuns([ended(run)])
  t.match(announcement, { state: 'done', assets: [...names].sort() })
})
