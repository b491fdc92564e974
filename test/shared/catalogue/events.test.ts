import { randomUUID } from 'node:crypto'
import t from 'tap'
import { accepted, again, catalogues, ended, event } from './fixture.ts'

const fresh = await catalogues(t)

t.test(
  'an event is recorded once, however often it comes, with all that it says',
  async (t) => {
    const { catalogue } = await fresh(t)
    const run = accepted(['bpm'], { track: 't' })
    const full = event(run, {
      ...{ verdict: 'failed', code: 'RENDER_FAILED', sentence: 'no', cpuMs: 0.5 },
      ...{ bytesRead: 0, bytesWritten: 5_000_000_000, storeOperations: 3, attempt: 2 },
      ...{ bytesFromCloud: 0, bytesToCloud: 4_000_000_000 },
      units: ['bpm@1 0-441000', 'a "quoted", {odd} unit\\'],
    })
    await catalogue.recordEvents([full, full])
    await catalogue.recordEvents([full])
    t.same((await catalogue.trackHistory('t', { limit: 10 })).events, [full])
  },
)

t.test('events of any number and of no job are taken', async (t) => {
  const { catalogue, database } = await fresh(t)
  const { job: _j, track: _t, run: _r, route: _o, ...bare } = event(accepted(['bpm']))
  const events = Array.from({ length: 5_000 }, () => ({ ...bare, id: randomUUID() }))
  await catalogue.recordEvents(events)
  await catalogue.recordEvents([])
  const [row] = await database.query<{ n: number }>({ text: 'select count(*) n from event' })
  t.equal(row?.n, 5_000)
})

t.test(
  'an accepted event makes up for a job row that is missing, or that is behind',
  async (t) => {
    const { catalogue } = await fresh(t)
    const run = accepted(['bpm'])
    const wider = again(run, {}, ['key'])
    const heard = (of: typeof run) => event(of, { verdict: 'accepted', request: of.request })
    await catalogue.recordEvents([heard(run)])
    t.match(await catalogue.job(run.job), { state: 'accepted', assets: { bpm: null } })
    await catalogue.recordEvents([heard(run), heard(wider)])
    t.same((await catalogue.job(run.job))?.assets, { bpm: null, key: null })
    await catalogue.markAnnounced(await catalogue.recordRuns([ended(run), ended(wider)]))
    await catalogue.recordEvents([heard(run), heard(wider)])
    t.equal((await catalogue.job(run.job))?.state, 'done', 'a late one opens nothing')
  },
)

t.test('a job runs once a step of its run has reported', async (t) => {
  const { catalogue } = await fresh(t)
  const run = accepted(['bpm'])
  await catalogue.recordEvents([
    event(run, { step: 'ingest', verdict: 'accepted', request: run.request }),
  ])
  t.equal((await catalogue.job(run.job))?.state, 'accepted')
  await catalogue.recordEvents([event(run)])
  t.equal((await catalogue.job(run.job))?.state, 'running')
})

t.test(
  'a dead letter shows as a failure and calls the watchdog off; a redrive ends that',
  async (t) => {
    const { catalogue } = await fresh(t)
    const run = accepted(['bpm'])
    const stale = { olderThanSeconds: -1, limit: 10, sweptLessThan: 3 }
    await catalogue.acceptJobs([run])
    t.equal((await catalogue.staleJobs(stale)).length, 1)
    await catalogue.recordEvents([event(run, { verdict: 'dead-lettered', code: 'GAVE_UP' })])
    t.match(await catalogue.job(run.job), { state: 'failed', deadLettered: true })
    t.same(await catalogue.staleJobs(stale), [])
    await catalogue.acceptJobs([again(run, { run: 2 })])
    t.match(await catalogue.job(run.job), { state: 'accepted', deadLettered: false })
    t.match(await catalogue.staleJobs(stale), [{ run: 2 }])
  },
)

t.test('the watchdog sees what is not finished, and each sweep is counted once', async (t) => {
  const { catalogue } = await fresh(t)
  const open = accepted(['bpm'])
  const done = accepted(['bpm'])
  const stale = { olderThanSeconds: -1, limit: 10, sweptLessThan: 3 }
  await catalogue.acceptJobs([open, done])
  t.same(await catalogue.staleJobs({ ...stale, olderThanSeconds: 60 }), [], 'too early')
  const unmarked = await catalogue.recordRuns([ended(done)])
  t.equal((await catalogue.staleJobs(stale)).length, 2, 'ended but not announced')
  await catalogue.markAnnounced(unmarked)
  const [job, ...others] = await catalogue.staleJobs(stale)
  t.same(others, [])
  t.match(job, { job: open.job, run: 1, request: open.request, swept: 0 })
  const claims = [{ job: open.job, swept: 0 }]
  const both = await Promise.all([catalogue.markSwept(claims), catalogue.markSwept(claims)])
  t.same(both.flat(), [open.job], 'of two watchdogs one sweeps')
  for (const swept of [1, 2]) t.match(await catalogue.sweepJobs(stale), [{ swept }])
  t.same(await catalogue.sweepJobs(stale), [], 'three times at most')
})
