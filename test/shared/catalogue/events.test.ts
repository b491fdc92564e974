import { randomUUID } from 'node:crypto'
import t from 'tap'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { markAnnounced } from '#shared/catalogue/jobs/record-runs.ts'
import { sweepJobs } from '#shared/catalogue/jobs/sweep-jobs.ts'
import { uuidFrom } from '#shared/contracts/names.ts'
import { accepted, again, catalogues, ended, event, jobOf, recordDue } from './fixture.ts'

const fresh = await catalogues(t)

t.test(
  'an event is recorded once, however often it comes, with all that it says',
  async (t) => {
    const { database } = await fresh()
    const run = accepted(['bpm'], { track: 't' })
    const full = event(run, {
      ...{ verdict: 'failed', code: 'RENDER_FAILED', sentence: 'no', cpu_ms: 0.5 },
      ...{ bytes_read: 0, bytes_written: 5_000_000_000, store_operations: 3, attempt: 2 },
      ...{ bytes_from_cloud: 0, bytes_to_cloud: 4_000_000_000 },
      units: ['bpm@1 0-441000', 'a "quoted", {odd} unit\\'],
    })
    await recordEvents(database, [full, full])
    await recordEvents(database, [full])
    t.same((await trackHistory(database, 't', { limit: 10 })).events, [full])
  },
)

t.test(
  'what is reported again at another time, under an id of its own, is recorded once',
  async (t) => {
    const { database } = await fresh()
    const run = accepted(['bpm'], { track: 't' })
    const id = uuidFrom('redriven:1')
    const first = event(run, { id, verdict: 'redriven' })
    const again = { ...first, at: '2026-03-02T10:00:00.000Z' }
    t.match(await recordEvents(database, [again, first]), [{ verdict: 'redriven', count: 1 }])
    t.same(await recordEvents(database, [again]), [])
    t.same((await trackHistory(database, 't', { limit: 9 })).events, [first])
  },
)

t.test('events of any number and of no job are taken', async (t) => {
  const { database } = await fresh()
  const { job: _j, track: _t, run: _r, route: _o, ...bare } = event(accepted(['bpm']))
  const events = Array.from({ length: 5_000 }, () => ({ ...bare, id: randomUUID() }))
  await recordEvents(database, events)
  await recordEvents(database, [])
  const [row] = await database.query<{ n: number }>({ text: 'select count(*) n from event' })
  t.equal(row?.n, 5_000)
})

t.test(
  'an accepted event makes up for a job row that is missing, or that is behind',
  async (t) => {
    const { database } = await fresh()
    const run = accepted(['bpm'])
    const wider = again(run, {}, ['key'])
    const heard = (of: typeof run) => event(of, { verdict: 'accepted', request: of.request })
    await recordEvents(database, [heard(run)])
    t.match(await jobOf(database, run.job), { state: 'accepted', assets: { bpm: null } })
    await recordEvents(database, [heard(run), heard(wider)])
    t.same((await jobOf(database, run.job))?.assets, { bpm: null, key: null })
    await markAnnounced(database, await recordDue(database, [ended(run), ended(wider)]))
    await recordEvents(database, [heard(run), heard(wider)])
    t.equal((await jobOf(database, run.job))?.state, 'done', 'a late one opens nothing')
  },
)

t.test('a job runs once a step of its run has reported', async (t) => {
  const { database } = await fresh()
  const run = accepted(['bpm'])
  await recordEvents(database, [
    event(run, { step: 'ingest', verdict: 'accepted', request: run.request }),
  ])
  t.equal((await jobOf(database, run.job))?.state, 'accepted')
  await recordEvents(database, [event(run)])
  t.equal((await jobOf(database, run.job))?.state, 'running')
})

t.test(
  'a dead letter shows as a failure and calls the watchdog off; a redrive ends that',
  async (t) => {
    const { database } = await fresh()
    const run = accepted(['bpm'])
    const stale = { olderThanSeconds: -1, limit: 10, sweptLessThan: 3 }
    await acceptJobs(database, [run])
    t.equal((await sweepJobs(database, stale)).length, 1)
    await recordEvents(database, [event(run, { verdict: 'dead-lettered', code: 'GAVE_UP' })])
    t.match(await jobOf(database, run.job), { state: 'failed', deadLettered: true })
    t.same(await sweepJobs(database, stale), [])
    await acceptJobs(database, [again(run, { run: 2 })])
    t.match(await jobOf(database, run.job), { state: 'accepted', deadLettered: false })
    t.match(await sweepJobs(database, stale), [{ run: 2 }])
  },
)

t.test('the watchdog sees what is not finished, and each sweep is counted once', async (t) => {
  const { database } = await fresh()
  const open = accepted(['bpm'])
  const done = accepted(['bpm'])
  const stale = { olderThanSeconds: -1, limit: 10, sweptLessThan: 3 }
  await acceptJobs(database, [open, done])
  t.same(await sweepJobs(database, { ...stale, olderThanSeconds: 60 }), [], 'too early')
  const unmarked = await recordDue(database, [ended(done)])
  t.equal((await sweepJobs(database, stale)).length, 2, 'ended but not announced')
  await markAnnounced(database, unmarked)
  const [job, ...others] = await sweepJobs(database, stale)
  t.same(others, [])
  t.match(job, { job: open.job, run: 1, request: open.request, swept: 1 })
  t.match(await sweepJobs(database, stale), [{ swept: 2 }])
  t.same(await sweepJobs(database, stale), [], 'three times at most')
})
