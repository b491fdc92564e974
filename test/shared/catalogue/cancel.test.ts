import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { Database } from '#shared/catalogue/database.ts'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { readBoard } from '#shared/catalogue/figures/board.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { cancel, endCancelled, openCancellations } from '#shared/catalogue/jobs/cancel-jobs.ts'
import { cancellationsAfter, earlierJobs } from '#shared/catalogue/jobs/read-cancellations.ts'
import { markAnnounced } from '#shared/catalogue/jobs/record-runs.ts'
import { sweepJobs } from '#shared/catalogue/jobs/sweep-jobs.ts'
import { listTracks } from '#shared/catalogue/tracks/list-tracks.ts'
import { findTrack } from '#shared/catalogue/tracks/read-tracks.ts'
import type { RunAccepted } from '#shared/contracts/messages/run.ts'
import { until } from '../../support/patience.ts'
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

// Every test makes jobs and tracks of its own, so that one database will do.
const { database } = await (await catalogues(t))()
const by = { by: 'a person', reason: 'the wrong masters' }
const whole = ({ request }: RunAccepted) => ({ request: request.request_id, job: null })

/** Cancels a whole request, and ends its rows. */
async function cancelled(run: RunAccepted, of: Parameters<typeof cancel>[1] = whole(run)) {
  const outcome = await cancel(database, of, by)
  if (outcome.result !== 'cancelled') throw new Error(outcome.result)
  await endCancelled(database, outcome.cancellation)
  return outcome
}

/** The job as it is posted again, later than the cancellation. */
async function postedAgain(run: RunAccepted, assets?: readonly string[]) {
  const found = await earlierJobs(database, [run])
  const { cancelled, run: highest = 0 } = found.get(run.job) ?? {}
  const later = new Date((cancelled?.getTime() ?? 0) + 1).toISOString()
  return again(run, { accepted: later, run: highest + 1 }, assets)
}

t.test('a request is cancelled by one row, and its open jobs end', async (t) => {
  const requestId = randomUUID()
  const [done, open, other] = ['done', 'open', 'other'].map((name) =>
    accepted(['bpm'], { track: `${name}-${requestId}`, requestId }),
  ) as [RunAccepted, RunAccepted, RunAccepted]
  await acceptJobs(database, [done, open, other])
  await markAnnounced(database, await recordDue(database, [ended(done)]))
  const outcome = await cancel(database, whole(done), by)
  t.match(outcome, { result: 'cancelled', isNew: true })
  if (outcome.result !== 'cancelled') return
  t.match(outcome.cancellation, { kind: 'request', id: requestId, ...by })
  t.ok(outcome.cancellation.before >= new Date(open.accepted))
  t.match(await openCancellations(database), [outcome.cancellation])
  t.same(await endCancelled(database, outcome.cancellation), { ended: 2, isAll: true })
  t.same(await openCancellations(database), [])

  t.match(await jobOf(database, done.job), { state: 'done' }, 'what had ended stays')
  t.match(await jobOf(database, open.job), { state: 'cancelled', assets: { bpm: null } })
  t.ok((await jobOf(database, open.job))?.ended)
  const { events } = await trackHistory(database, open.request.asset_guid, { limit: 10 })
  t.match(events, [
    {
      step: 'operator',
      verdict: 'cancelled',
      code: 'CANCELLED',
      sentence: /a person: the wro/,
    },
  ])
  const { tracks } = await listTracks(database, { state: 'cancelled' }, { limit: 100 })
  t.same(
    tracks.map(({ line }) => line.asset_guid).filter((guid) => guid.endsWith(requestId)),
    [other.request.asset_guid, open.request.asset_guid],
  )
  t.ok((await readBoard(database)).tracks.cancelled >= 2, 'the count is kept')

  t.match(
    await cancel(database, whole(done), by),
    {
      result: 'cancelled',
      isNew: false,
      cancellation: { number: outcome.cancellation.number },
    },
    'asked twice it is the same',
  )
})

t.test('one job of a request is cancelled, and the others go on', async (t) => {
  const requestId = randomUUID()
  const [one, two] = ['a', 'b'].map((track) =>
    accepted(['bpm'], { track: `${track}-${requestId}`, requestId }),
  ) as [RunAccepted, RunAccepted]
  await acceptJobs(database, [one, two])
  await cancelled(one, { request: requestId, job: one.job })
  t.match(await jobOf(database, one.job), { state: 'cancelled' })
  t.match(await jobOf(database, two.job), { state: 'accepted' })
  t.match(await cancel(database, { request: requestId, job: one.job }, by), { isNew: false })
  t.match(await recordDue(database, [ended(two)]), [{ job: two.job, state: 'done' }])
})

t.test('what is not known, and what has ended, cannot be cancelled', async (t) => {
  t.same(await cancel(database, { request: 'nobody', job: null }, by), { result: 'unknown' })
  const run = accepted(['bpm'])
  await acceptJobs(database, [run])
  const { request_id: request } = run.request
  t.same(await cancel(database, { request, job: 'another' }, by), { result: 'unknown' })
  await recordDue(database, [ended(run)])
  t.same(await cancel(database, whole(run), by), { result: 'ended' })
  const letter = accepted(['bpm'])
  await acceptJobs(database, [letter])
  await recordEvents(database, [event(letter, { verdict: 'dead-lettered' })])
  t.same(await cancel(database, whole(letter), by), { result: 'ended' })
})

t.test('a cancellation covers what a clock that is ahead has accepted', async (t) => {
  const ahead = new Date(Date.now() + 60_000).toISOString()
  const requestId = randomUUID()
  const run = accepted(['bpm'], { accepted: ahead, requestId })
  await acceptJobs(database, [run, accepted(['bpm'], { requestId })])
  const { cancellation } = await cancelled(run)
  t.same(cancellation.before, new Date(ahead))
  t.match(await jobOf(database, run.job), { state: 'cancelled' })
  t.match((await postedAgain(run)).accepted, new Date(Date.parse(ahead) + 1).toISOString())
})

t.test('what a cancelled run made nevertheless is a fact, and is not announced', async (t) => {
  const run = accepted(['bpm', 'flac'])
  await acceptJobs(database, [run])
  await cancelled(run)
  t.same(await recordDue(database, [ended(run, { flac: failed() })]), [])
  t.match(await jobOf(database, run.job), {
    ...{ state: 'cancelled', announced: null },
    assets: { bpm: { state: 'made' }, flac: { state: 'failed' } },
  })
  t.match(await findTrack(database, run.request.asset_guid), {
    assets: [
      { asset: 'bpm', state: 'made' },
      { asset: 'flac', state: 'failed' },
    ],
  })
  const late = again(run, {}, ['key'])
  await acceptJobs(database, [late])
  t.match(
    await jobOf(database, run.job),
    { state: 'cancelled' },
    'nor does a late copy open it',
  )
  t.same(await recordDue(database, [ended(late)]), [])
})

t.test('posted again it keeps what was made and makes the rest', async (t) => {
  const run = accepted(['bpm', 'flac', 'key'])
  await acceptJobs(database, [run])
  const [before] = await recordDue(database, [ended(again(run, {}, ['bpm']))])
  t.equal(before, undefined, 'it is not complete')
  await cancelled(run)
  const next = await postedAgain(run, ['bpm', 'flac'])
  t.equal(next.run, 2)
  await acceptJobs(database, [next])
  t.match(await jobOf(database, run.job), {
    ...{ state: 'accepted', ended: null, run: 2, accepted: new Date(next.accepted) },
    assets: { bpm: null, flac: null },
  })
  t.notOk('key' in ((await jobOf(database, run.job))?.assets ?? {}), 'nobody wants it any more')
  await acceptJobs(database, [run])
  await recordEvents(database, [event(run, { verdict: 'cancelled' })])
  t.match(await jobOf(database, run.job), { state: 'accepted' }, 'a late copy changes nothing')
  t.match(await recordDue(database, [ended(next)]), [
    { job: run.job, run: 2, state: 'done', assets: ['bpm', 'flac'] },
  ])
})

t.test('an announcement has another id than any before the cancellation', async (t) => {
  const run = accepted(['bpm'])
  await acceptJobs(database, [run])
  const [first] = await recordDue(database, [ended(run)])
  await markAnnounced(database, first ? [first] : [])
  await acceptJobs(database, [again(run, {}, ['bpm', 'key'])])
  await cancelled(run)
  // As it is where the database did not answer when the job was posted again: the number of the run is no other.
  const same = { ...(await postedAgain(run)), run: 1 }
  const [second] = await recordDue(database, [ended(same)])
  t.match(second, { job: run.job, assets: ['bpm'], state: 'done' })
  t.not(second?.id, first?.id)
})

t.test('jobs of a large request end in batches, and none that is asked again', async (t) => {
  const requestId = randomUUID()
  const runs = Array.from({ length: 2100 }, (_, n) =>
    accepted(['bpm'], { track: `${n}-${requestId}`, requestId }),
  )
  await acceptJobs(database, runs)
  const [first] = runs as [RunAccepted]
  const outcome = await cancel(database, whole(first), by)
  if (outcome.result !== 'cancelled') return t.fail(outcome.result)
  const next = await postedAgain(first)
  await acceptJobs(database, [next])
  const stop = new AbortController()
  let statements = 0
  const counted = {
    ...database,
    query: (...args: Parameters<typeof database.query>) => {
      if (++statements === 1) stop.abort()
      return database.query(...args)
    },
  } as typeof database
  const part = await endCancelled(counted, outcome.cancellation, stop.signal)
  t.same(part, { ended: 1000, isAll: false }, 'each statement ends a thousand')
  const both = await Promise.all([1, 2].map(() => endCancelled(database, outcome.cancellation)))
  t.equal(
    both.reduce((sum, { ended }) => sum + ended, 0),
    1099,
    'two may do it at once',
  )
  t.match(await jobOf(database, first.job), { state: 'accepted', run: 2 })
})

t.test('a row that is written too late ends when a step finds its run cancelled', async (t) => {
  const requestId = randomUUID()
  const [known, late] = ['known', 'late'].map((track) =>
    accepted(['bpm'], { track: `${track}-${requestId}`, requestId }),
  ) as [RunAccepted, RunAccepted]
  await acceptJobs(database, [known])
  await cancelled(known)
  const skipped = event(late, { verdict: 'cancelled', units: [] })
  const birth = event(late, { verdict: 'accepted', request: late.request, at: late.accepted })
  await recordEvents(database, [skipped, birth])
  t.match(await jobOf(database, late.job), { state: 'cancelled' })
  await recordEvents(database, [event(known, { verdict: 'cancelled' })])
  const { events } = await trackHistory(database, known.request.asset_guid, { limit: 10 })
  t.same(events.map(({ step }) => step).sort(), ['operator', 'stage'], 'nothing ends twice')
})

t.test('the event of a job that comes to ingest again does not open it', async (t) => {
  const run = accepted(['bpm'])
  await acceptJobs(database, [run])
  await cancelled(run)
  const at = new Date(Date.now() + 1000).toISOString()
  const again = { verdict: 'accepted', request: run.request, at, accepted: run.accepted }
  await recordEvents(database, [event(run, again)])
  t.match(await jobOf(database, run.job), { state: 'cancelled' })
})

t.test(
  'the watchdog leaves a cancelled job alone, and has one that is asked again',
  async (t) => {
    const run = accepted(['bpm'], { route: 'onprem-c' })
    await acceptJobs(database, [run])
    await cancelled(run)
    const sweep = async () => {
      const found = await sweepJobs(database, {
        ...{ olderThanSeconds: 0, limit: 1000, sweptLessThan: 9 },
      })
      return found.filter(({ job }) => job === run.job)
    }
    t.same(await sweep(), [])
    const next = await postedAgain(run)
    await acceptJobs(database, [next])
    t.match(await sweep(), [{ run: 2, accepted: next.accepted }])
  },
)

t.test('who is about to cancel keeps later numbers back until it has committed', async (t) => {
  const [one, two] = [accepted(['bpm']), accepted(['bpm'])]
  await acceptJobs(database, [one, two])
  const { last } = await cancellationsAfter(database, 0, 1)
  const numbers = async () =>
    (await cancellationsAfter(database, last, 10)).cancellations.map(({ number }) => number)
  const added = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const slow: Database = {
    ...database,
    transaction: (work) =>
      database.transaction(async (query) => {
        const done = await work(query)
        added.resolve()
        await gate.promise
        return done
      }),
  }
  const first = cancel(slow, whole(one), by)
  await added.promise
  const second = cancel(database, whole(two), by)
  const waits = { text: `select from pg_locks where locktype = 'advisory' and not granted` }
  await Promise.race([second, until(async () => (await database.query(waits)).length > 0)])
  t.same(await numbers(), [], 'the second has not committed before the first')
  gate.resolve()
  await Promise.all([first, second])
  t.equal((await numbers()).length, 2)
})

t.test('numbers come in the order of commits, however many write at once', async (t) => {
  const runs = Array.from({ length: 30 }, () => accepted(['bpm']))
  await acceptJobs(database, runs)
  const seen: number[] = []
  let isOver = false
  const reading = (async () => {
    while (!isOver) {
      const after = seen.at(-1) ?? 0
      const { cancellations } = await cancellationsAfter(database, after, 1000)
      seen.push(...cancellations.map(({ number }) => number))
    }
  })()
  await Promise.all(runs.map((run) => cancel(database, whole(run), by)))
  isOver = true
  await reading
  const { cancellations, last } = await cancellationsAfter(database, 0, 1000)
  const all = cancellations.map(({ number }) => number)
  t.same(seen, all.slice(0, seen.length), 'a reader who has seen one has missed none before it')
  t.equal(last, all.at(-1))
  t.same((await cancellationsAfter(database, last, 10)).cancellations, [])
  t.equal((await cancellationsAfter(database, last + 5, 10)).last, last)
})
