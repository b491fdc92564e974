import t from 'tap'
import type { Database } from '#shared/catalogue/database.ts'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import { sweepJobs } from '#shared/catalogue/jobs/sweep-jobs.ts'
import type { KeptLetter } from '#shared/catalogue/letters/letter.ts'
import { findLetter, listLetters } from '#shared/catalogue/letters/read-letters.ts'
import { listedTrack } from '#shared/catalogue/tracks/list-tracks.ts'
import { jobId, requestIdFrom } from '#shared/contracts/names.ts'
import { eventSink } from '#shared/frame/events.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { letterActions } from '../../services/ingest/dead-letters/redrive.ts'
import { interrupted, jobOf } from '../shared/catalogue/fixture.ts'
import { wav } from '../support/audio.ts'
import { surroundings, until as untilWithin } from '../support/chain.ts'
import { allConsumers } from '../support/one-process.ts'
import { club } from '../support/synth.ts'

const around = await surroundings()
const { bus, database, config, published } = around
const consumers = await allConsumers({
  ...{ config, bus, database },
  log: createLog('letters', 'fatal'),
})
t.teardown(async () => {
  await consumers.close()
  await around.close()
})

const desk = (of: Database = database) =>
  letterActions({ bus, events: eventSink(bus), database: of })
const pace = { rate: 1000, limit: 100, mostMs: 60_000, signal: new AbortController().signal }
/** The machine may be crowded. */
const until = (holds: () => boolean | Promise<boolean>) => untilWithin(holds, 150_000)
const requestId = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

/** Waits for the letter of a track to be kept. */
async function letterOf(track: string): Promise<KeptLetter> {
  const letters = async () =>
    (await listLetters(database, 'all', { track }, { limit: 9 })).letters
  await until(async () => (await letters()).length > 0)
  return (await letters())[0] as KeptLetter
}

/** The state of a job, and whether the job and its track show an open letter. */
async function statesOf(track: string, request: string) {
  const [job] = await jobsOfRequest(database, request)
  const listed = await listedTrack(database, track)
  return { state: job?.state, job: job?.deadLettered, track: listed?.line.dead_lettered }
}

const history = async (track: string) =>
  (await trackHistory(database, track, { limit: 1000 })).events
/** The history of a track once it has these events: each service reports for itself, maybe after the announcement. */
async function historyWith(
  track: string,
  wanted: readonly { step?: string; run?: number; verdict?: string }[],
) {
  await until(async () => {
    const events = await history(track)
    return wanted.every(({ step, run, verdict }) =>
      events.some(
        (event) =>
          event.step === (step ?? event.step) &&
          event.run === (run ?? event.run) &&
          event.verdict === (verdict ?? event.verdict),
      ),
    )
  })
  return history(track)
}
const announced = (track: string, request: string) =>
  (published.get(track) ?? []).filter(({ request_id }) => request_id === request)

t.test(
  'a master is mended and its letter redriven: only what is missing is made',
  async (t) => {
    const [request_id, other] = [requestId(1), requestId(2)]
    await around.master('mended', Buffer.from('no audio'))
    await around.submit({
      request_id,
      asset_guid: 'mended',
      derivative_assets: ['echo', 'pieces'],
    })
    const letter = await letterOf('mended')
    t.match(letter, {
      ...{ step: 'stage', code: 'MASTER_UNREADABLE', reason: /./, state: 'open' },
      job: { run: 1, request: { request_id, derivative_assets: ['echo', 'pieces'] } },
    })

    t.match(await statesOf('mended', request_id), { state: 'failed', job: true, track: true })

    await around.master('mended', wav(club(44_100)))
    await around.submit({
      request_id: other,
      asset_guid: 'mended',
      derivative_assets: ['echo'],
    })
    await until(() => announced('mended', other).length > 0)

    const which = { ids: [letter.id] }
    const before = JSON.stringify(await findLetter(database, letter.id))
    t.match(await desk().preview(which, 9), [{ status: 'redrivable', run: 2 }])
    t.match(await desk().preview({ filter: { track: 'mended' } }, 9), [{ id: letter.id }])
    t.equal(
      JSON.stringify(await findLetter(database, letter.id)),
      before,
      'a look changes nothing',
    )

    const both = await Promise.all([
      desk().redrive(which, 'one', pace),
      desk().redrive({ filter: { track: 'mended' } }, 'two', pace),
    ])
    const outcomes = both.flat()
    t.equal(
      outcomes.filter(({ status }) => status === 'redriven').length,
      1,
      'one of two does it',
    )
    await until(() => announced('mended', request_id).length === 2)
    t.match(announced('mended', request_id)[1], {
      ...{ run: 2, state: 'done' },
      assets: [
        { asset: 'echo', state: 'made' },
        { asset: 'pieces', state: 'made' },
      ],
    })

    t.match(await statesOf('mended', request_id), { state: 'done', job: false, track: false })
    t.match(await desk().redrive(which, 'three', pace), [{ code: 'LETTER_TAKEN' }])
    t.same(await desk().redrive({ filter: { track: 'mended' } }, 'four', pace), [])
    const all = await historyWith('mended', [
      { verdict: 'redriven' },
      { step: 'encode', run: 2 },
      { step: 'publish', run: 2 },
    ])
    const made = (asset: string) =>
      all.filter(
        ({ verdict, units }) =>
          verdict === 'done' && units.some((u) => u.startsWith(`${asset}@1 0`)),
      )
    t.equal(
      made('echo').filter(({ step }) => step === 'analyze').length,
      1,
      'what was there is not made again',
    )
    t.equal(made('pieces').filter(({ step }) => step === 'encode').length, 1)
    t.match(
      all.filter(({ verdict }) => verdict === 'redriven'),
      [
        {
          step: 'operator',
          code: 'MASTER_UNREADABLE',
          sentence: /run 1: redriven as run 2 by (one|two)/,
        },
      ],
    )
    t.equal(announced('mended', request_id).length, 2, 'and is announced once for each run')
  },
)

t.test(
  'a process that dies between the publish and the commit has redriven nothing twice',
  async (t) => {
    const request_id = requestId(3)
    await around.submit({ request_id, asset_guid: 'seam', derivative_assets: ['echo'] })
    const { id } = await letterOf('seam')
    await around.master('seam', wav(club(44_100)))
    const dying = interrupted(database, (name) => {
      if (name === 'letter-settle') throw new Error('died')
    })
    await t.rejects(desk(dying).redrive({ ids: [id] }, 'me', pace), /died/)
    await until(() => announced('seam', request_id).length === 2)
    t.equal((await findLetter(database, id))?.state, 'open', 'so somebody does it again')
    t.match(await desk().redrive({ ids: [id] }, 'me', pace), [{ status: 'redriven', run: 2 }])
    const copies = async () =>
      (await history('seam')).filter(
        ({ step, run, attempt }) => step === 'publish' && run === 2 && attempt === 1,
      )
    await until(async () => (await copies()).length === 2)
    await until(() => around.isIdle())
    t.match(announced('seam', request_id), [
      { run: 1, state: 'failed' },
      { run: 2, state: 'done' },
    ])
    const events = await historyWith('seam', [{ verdict: 'redriven' }, { step: 'analyze' }])
    t.equal(events.filter(({ verdict }) => verdict === 'redriven').length, 1, 'one event')
    t.equal(events.filter(({ step }) => step === 'analyze').length, 1, 'made once')
  },
)

t.test(
  'a message that crashed its worker each time is found, reported and redriven',
  async (t) => {
    const request_id = requestId(4)
    await around.master('deadly', wav(club(44_100)))
    const common = {
      ackDeadlineSeconds: 10,
      minBackoffSeconds: 0,
      maxBackoffSeconds: 0.1,
      retentionSeconds: 600,
    }
    await bus.ensure({
      topics: ['stage-mortal'],
      deadLetterTopic: 'dead-letter',
      subscriptions: [
        { name: 'stage-mortal', topic: 'stage-mortal', maxDeliveryAttempts: 5, ...common },
      ],
    })
    const run = {
      request: { request_id, asset_guid: 'deadly', derivative_assets: ['echo'] },
      ...{ job: jobId(request_id, 'deadly'), run: 1, route: 'cloud', restarts: 0 },
      ...{ accepted: '2026-01-01T00:00:00.000Z', masters: ['file:///nowhere'] },
    }
    await acceptJobs(database, [run])
    const mortal = { concurrency: 1, longestMs: 1000, onError: () => {} }
    const worker = bus.subscribe('stage-mortal', mortal, async () => 'nack')
    await bus.publish('stage-mortal', {
      data: Buffer.from(JSON.stringify(run)),
      attributes: { dead_letter_code: 'MINE' },
    })
    const letter = await letterOf('deadly')
    await worker.close()
    t.match(letter, {
      step: 'stage',
      code: 'CRASHED',
      attempt: 5,
      job: { id: run.job, run: 1 },
    })
    await until(async () => (await jobOf(database, run.job))?.state === 'failed')
    t.match(await jobOf(database, run.job), { state: 'failed' })
    t.match(await historyWith('deadly', [{ step: 'stage' }]), [
      { verdict: 'dead-lettered', code: 'CRASHED', step: 'stage' },
    ])
    const stale = { olderThanSeconds: -1, limit: 100, sweptLessThan: 3 }
    const watched = (await sweepJobs(database, stale)).map(({ job }) => job)
    t.notOk(watched.includes(run.job), 'the watchdog leaves it alone')

    t.match(await desk().redrive({ ids: [letter.id] }, 'me', pace), [{ status: 'redriven' }])
    await until(() => announced('deadly', request_id).length > 0)
    t.match(announced('deadly', request_id), [{ run: 2, state: 'done' }])
    t.match(await jobOf(database, run.job), { accepted: new Date(run.accepted), run: 2 })
  },
)

t.test('what is no job can be looked at and discarded, and not redriven', async (t) => {
  await bus.publish('ingest', {
    data: Buffer.from('hello { \x1b[2J'),
    attributes: { mine: 'x' },
  })
  const find = async () =>
    (await listLetters(database, 'open', { code: 'NOT_JSON' }, { limit: 9 })).letters
  await until(async () => (await find()).length > 0)
  const [letter] = (await find()) as [KeptLetter]
  t.match(letter, { step: 'ingest', job: null })
  t.match(await findLetter(database, letter.id), {
    body: Buffer.from('hello { \x1b[2J'),
    attributes: { mine: 'x' },
  })
  t.match(await desk().redrive({ ids: [letter.id] }, 'me', pace), [
    { status: 'refused', code: 'NOT_REDRIVABLE', detail: /no job/ },
  ])
  t.same(await desk().redrive({ filter: { code: 'NOT_JSON' } }, 'me', pace), [])
  await desk().discard(letter.id, 'a test', 'me')
  t.match(await findLetter(database, letter.id), {
    state: 'discarded',
    settled: { reason: 'a test' },
  })
  await t.rejects(desk().discard(letter.id, 'again', 'me'), { code: 'LETTER_TAKEN' })
  await t.rejects(desk().discard('0'.repeat(32), 'x', 'me'), { code: 'NOT_FOUND' })
})

t.test('what was refused at the door is redriven as the request that it was', async (t) => {
  const message = await bus.publish('ingest', {
    data: Buffer.from('{"asset_guid":"early","derivative_assets":["not-yet"]}'),
    attributes: {},
  })
  const letter = await letterOf('early')
  t.match(letter, {
    code: 'UNKNOWN_DERIVATIVE',
    job: { request: { request_id: requestIdFrom(message) } },
  })
  await until(async () => (await history('early')).length > 0)
  const [refused] = await history('early')
  t.equal(refused?.job, letter.job?.id, 'as its history has it')
  await desk().discard(letter.id, 'nobody makes that', 'me')
  await until(async () =>
    (await history('early')).some(({ verdict }) => verdict === 'discarded'),
  )
  t.match(await history('early'), [
    { step: 'operator', verdict: 'discarded', sentence: /discarded by me: nobody makes that/ },
    { verdict: 'dead-lettered' },
  ])
})

t.test(
  'a message that contradicts its request is a letter, and no word against the job',
  async (t) => {
    const request_id = 'any name / will do'
    await around.master('kept', wav(club(44_100)))
    const job = { request_id, asset_guid: 'kept', derivative_assets: ['echo'], asset_id: 1 }
    await around.submit(job)
    await until(() => announced('kept', request_id).length === 1)
    await around.submit({ ...job, asset_id: 2 })
    const letter = await letterOf('kept')
    t.match(letter, {
      ...{ step: 'ingest', code: 'REQUEST_CONFLICT', attempt: 1, state: 'open' },
      reason:
        'the request "any name / will do" has asked for this track with asset_id 1, and now says 2',
    })
    t.match(await statesOf('kept', request_id), { state: 'done', job: false, track: false })
    await around.submit({ ...job, derivative_assets: ['pieces'] })
    await until(() => announced('kept', request_id).length === 2)
    t.match(announced('kept', request_id)[1], {
      ...{ run: 1, state: 'done', asset_id: 1 },
      assets: [{ asset: 'echo' }, { asset: 'pieces' }],
    })
  },
)
