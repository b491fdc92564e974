import t from 'tap'
import type { Bus } from '#shared/bus/bus.ts'
import type { Database } from '#shared/catalogue/database.ts'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { markAnnounced } from '#shared/catalogue/jobs/record-runs.ts'
import { sweepJobs } from '#shared/catalogue/jobs/sweep-jobs.ts'
import { listLetters } from '#shared/catalogue/letters/read-letters.ts'
import { json } from '#shared/contracts/message.ts'
import { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import { Published } from '#shared/contracts/messages/published.ts'
import type { RunEnded } from '#shared/contracts/messages/run.ts'
import { delivering } from '#shared/frame/deliver.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import { openStore } from '#shared/store/open.ts'
import { eventsHandler } from '../../../services/publish/event-recorder.ts'
import { keepDeadLetters } from '../../../services/publish/keep-dead-letters.ts'
import { runRecorder } from '../../../services/publish/run-recorder.ts'
import { publishStep } from '../../../services/publish/step.ts'
import { MAX_SWEEPS, sweepOnce } from '../../../services/publish/watchdog.ts'
import {
  accepted,
  again,
  catalogues,
  ended,
  event,
  failed,
  interrupted,
  jobOf,
  made,
  recordDue,
} from '../../shared/catalogue/fixture.ts'
import { scraped } from '../../support/scraped.ts'

// Every test makes jobs and tracks of its own, so that one database will do.
const { database } = await (await catalogues(t))()
const log = createLog('publish', 'silent')
const never = new AbortController().signal

interface Sent {
  readonly topic: string
  readonly data: Buffer
  readonly attributes: Readonly<Record<string, string>>
}

/** The delivery of ended runs to publish, what is sent, and what refuses. */
function publishing(of: Database = database) {
  const sent: Sent[] = []
  const events: StepEvent[] = []
  const refused = new Set<string>()
  const metrics = createMetrics('publish')
  const bus: Pick<Bus, 'publish'> = {
    async publish(topic, message) {
      await new Promise(setImmediate)
      if (refused.has(topic)) throw new Error(`no ${topic}`)
      sent.push({ topic, ...message })
      return 'id'
    },
  }
  const sink = {
    async report(reported: StepEvent) {
      await new Promise(setImmediate)
      if (refused.has('events')) throw new Error('no events')
      events.push(reported)
    },
  }
  const assets = openStore('file:///nowhere/assets')
  const handle = delivering(publishStep({ ...runRecorder(of), assets }), {
    ...{ bus: bus as Bus, events: sink, assets, scratch: assets, log, metrics },
    ...{ stopping: never, aborting: never, breaker: { isSuspect: async () => false } },
  })
  const deliver = (run: RunEnded) =>
    handle({
      ...{ id: '1', attributes: {}, attempt: 1, published: new Date() },
      data: Buffer.from(JSON.stringify(run)),
    })
  const on = (topic: string) => sent.filter((each) => each.topic === topic)
  return { bus: bus as Bus, sink, sent, events, refused, metrics, deliver, on }
}

const passTime = (job: string) =>
  database.query({ text: `update job set claimed_until = now() where id = $1` }, [job])
const isAnnounced = async (job: string) => (await jobOf(database, job))?.announced !== null

t.test('a job is announced once: what has been announced is marked', async (t) => {
  const { deliver, on, events } = publishing()
  const run = accepted(['bpm', 'key'])
  t.equal(await deliver(ended(run)), 'ack')
  t.ok(await isAnnounced(run.job))
  await passTime(run.job)
  t.equal(await deliver(ended(run)), 'ack')
  t.equal(on('published').length, 1)
  t.match(events, [
    { verdict: 'done', units: ['bpm@1 made', 'key@1 made'] },
    { verdict: 'skipped' },
  ])
  const stale = { olderThanSeconds: -60, limit: 1000, sweptLessThan: 3 }
  t.notOk((await sweepJobs(database, stale)).some(({ job }) => job === run.job))
})

t.test('what could not be sent is not marked, and its copy has the same id', async (t) => {
  const { deliver, on, refused } = publishing()
  const run = accepted(['bpm'])
  refused.add('published')
  t.equal(await deliver(ended(run)), 'nack')
  t.notOk(await isAnnounced(run.job))
  refused.clear()
  refused.add('dead-letter')
  await passTime(run.job)
  const other = accepted(['bpm'])
  t.equal(
    await deliver(ended(other, { bpm: failed() })),
    'nack',
    'nor is it without its letter',
  )
  t.notOk(await isAnnounced(other.job))
  refused.clear()
  for (const each of [run, run]) t.equal(await deliver(ended(each)), 'ack')
  const [first] = on('published').map(({ data }) => Published.parse(data))
  t.equal(first?.id, Published.parse(on('published')[0]?.data as Buffer).id)
  await passTime(other.job)
  t.equal(await deliver(ended(other, { bpm: failed() })), 'ack')
  const ids = on('published').map(({ data }) => Published.parse(data))
  const copies = ids.filter(({ request_id }) => request_id === other.request.request_id)
  t.equal(copies.length, 2)
  t.equal(copies[0]?.id, copies[1]?.id)
})

t.test('what another delivery announces right now is given back, not sent twice', async (t) => {
  const { deliver, on, events, refused } = publishing()
  const run = accepted(['bpm'])
  const both = await Promise.all([deliver(ended(run)), deliver(ended(run))])
  t.same(both.sort(), ['ack', 'nack'], 'in one batch')
  t.equal(on('published').length, 1)

  const other = accepted(['bpm'])
  refused.add('published')
  await deliver(ended(other))
  refused.clear()
  t.equal(await deliver(ended(other)), 'nack', 'the claim of the one that has died holds')
  t.match(events.at(-1), { verdict: 'retry', sentence: /another delivery is announcing/ })
  await passTime(other.job)
  t.equal(await deliver(ended(other)), 'ack', 'and runs out')
  await passTime(other.job)
  t.equal(await deliver(ended(other)), 'ack')
  t.equal(on('published').length, 2)
})

t.test('a mark that fails is repeated, and what is announced then is a copy', async (t) => {
  let isAway = true
  const { deliver, on } = publishing(
    interrupted(database, (name) => {
      if (isAway && name === 'jobs-announced') throw new Error('the database is away')
    }),
  )
  const run = accepted(['bpm'])
  t.equal(await deliver(ended(run)), 'nack')
  isAway = false
  await passTime(run.job)
  t.equal(await deliver(ended(run)), 'ack')
  const ids = on('published').map(({ data }) => Published.parse(data).id)
  t.equal(ids.length, 2)
  t.equal(new Set(ids).size, 1)
})

t.test('an announcement has what was made where, and what failed why', async (t) => {
  const { deliver, on } = publishing()
  const run = accepted(['waveform', 'bpm', 'aac-128'], { track: 'named' })
  const request = { ...run.request, release_id: 7, asset_id: 9 }
  const waveform = { ...made('w'), files: { json: 3, png: 4 } }
  await deliver(ended({ ...run, request }, { 'aac-128': failed('no'), waveform }))
  const [{ data, attributes } = { data: Buffer.alloc(0), attributes: {} }] = on('published')
  const at = (file: string) => `file:///nowhere/assets/assets/named/f01/${file}`
  t.match(Published.parse(data), {
    ...{ request_id: run.request.request_id, asset_guid: 'named', run: 1, state: 'partial' },
    ...{ release_id: 7, asset_id: 9, revision: 'f01' },
    assets: [
      { asset: 'aac-128', version: 1, state: 'failed', code: 'RENDER_FAILED', sentence: 'no' },
      { asset: 'bpm', state: 'made', uris: { json: at('bpm@1.json') }, result: { of: 'bpm' } },
      { asset: 'waveform', uris: { json: at('waveform@1.json'), png: at('waveform@1.png') } },
    ],
  })
  t.match(attributes, { job: run.job, run: '1', route: 'cloud' })
  t.match(attributes, {
    'ce-specversion': '1.0',
    'ce-id': Published.parse(data).id,
    'ce-source': '/trackchain/publish',
    'ce-type': 'trackchain.job.partial',
    'ce-subject': 'named',
    'ce-datacontenttype': 'application/json',
  })
})

t.test(
  'what failed is a letter for each reason: the job, narrowed, with its run',
  async (t) => {
    const { deliver, on } = publishing()
    const run = accepted(['bpm', 'key', 'flac', 'aac-128'])
    const verdicts = { flac: failed('no'), 'aac-128': failed('no'), key: failed('other') }
    await deliver(ended(run, verdicts))
    const letters = on('dead-letter').map(({ data, attributes }) => ({
      assets: EncodeJob.parse(data).derivative_assets,
      attributes,
    }))
    t.equal(letters.length, 2)
    const no = letters.find(({ assets }) => assets?.length === 2)
    t.same(no?.assets, ['aac-128', 'flac'])
    t.match(no?.attributes, {
      ...{ dead_letter_step: 'encode', dead_letter_code: 'RENDER_FAILED', run: '1' },
      ...{ dead_letter_reason: 'no', dead_letter_attempt: '1', accepted: run.accepted },
    })
    const before = new Set(letters.map(({ attributes }) => attributes.dead_letter_id))
    t.equal(before.size, 2)
    // Redriven in part: what still stands of the first run is the same letter, and not another.
    await deliver(ended(again(run, { run: 2 }, ['key'])))
    const after = on('dead-letter').slice(2)
    t.equal(after.length, 1)
    t.equal(after[0]?.attributes.dead_letter_id, no?.attributes.dead_letter_id)
    t.equal(after[0]?.attributes.run, '1')
  },
)

t.test(
  'the watchdog publishes again what has not ended, three times, and says so',
  async (t) => {
    const { bus, sink: events, sent, events: reported, metrics } = publishing()
    const [open, done, second] = [
      accepted(['bpm', 'key']),
      accepted(['bpm']),
      accepted(['bpm']),
    ]
    await acceptJobs(database, [open, done, second, again(second, { run: 4 })])
    await markAnnounced(database, await recordDue(database, [ended(done)]))
    const deps = { bus, events, database, metrics }
    const mine = (job: string) =>
      sent.filter(({ data }) => {
        const body = json(data, 'job') as { asset_guid: string; request_id: string }
        const of = [open, done, second].find((run) => run.job === job)
        return body.request_id === of?.request.request_id
      })
    t.equal(await sweepOnce(deps, 3600), 0, 'not before its time')
    t.equal(sent.length, 0)
    for (let n = 1; n <= MAX_SWEEPS + 1; n++) {
      await database.query({
        text: `update watch set since = now() - interval '2 h' where since < 'infinity'`,
      })
      const count = await sweepOnce(deps, 3600)
      t.equal(count > 0, n <= MAX_SWEEPS)
      t.equal(mine(open.job).length, Math.min(n, MAX_SWEEPS))
    }
    t.equal(mine(done.job).length, 0)
    const [first] = mine(open.job)
    t.equal(first?.topic, 'ingest')
    t.match(first?.attributes, { run: '1', accepted: open.accepted })
    t.match(EncodeJob.parse(first?.data as Buffer), open.request)
    t.match(mine(second.job)[0]?.attributes, { run: '4' })
    const sweeps = reported.filter(({ job }) => job === open.job)
    t.equal(sweeps.length, MAX_SWEEPS)
    t.match(sweeps[0], {
      step: 'watchdog',
      verdict: 'swept',
      track: open.request.asset_guid,
      run: 1,
    })
    t.match(sweeps[0]?.sentence, /3600 s/)
    const values = await scraped(metrics)
    t.equal(values.get('trackchain_swept_total'), 2 * MAX_SWEEPS)
  },
)

t.test('a sweep that can not be published, or not be reported, is a fault', async (t) => {
  for (const what of ['ingest', 'events']) {
    const { bus, sink: events, metrics, refused } = publishing()
    const run = accepted(['bpm'])
    await acceptJobs(database, [run])
    await database.query(
      { text: `update watch set since = now() - interval '2 h' where job = $1` },
      [run.job],
    )
    refused.add(what)
    await t.rejects(sweepOnce({ bus, events, database, metrics }, 3600), {
      message: `no ${what}`,
    })
  }
})

t.test(
  'events are acked when they are committed, and set aside when they are none',
  async (t) => {
    const { bus, on, refused } = publishing()
    const run = accepted(['bpm'])
    const delivery = (body: unknown) => ({
      ...{ id: '1', attributes: {}, attempt: 1, published: new Date() },
      data: Buffer.from(JSON.stringify(body)),
    })
    let isCommitted = false
    const record = async (events: readonly StepEvent[]) => {
      await recordEvents(database, events)
      isCommitted = true
    }
    const handler = eventsHandler({ bus, log, record })
    t.equal(await handler(delivery({ events: [event(run)] })), 'ack')
    t.ok(isCommitted)
    const away = async () => {
      throw new Error('the database is away')
    }
    const refusing = eventsHandler({ bus, log, record: away })
    t.equal(await refusing(delivery({ events: [event(run)] })), 'nack')
    t.equal(on('dead-letter').length, 0)
    t.equal(await handler(delivery({ events: [] })), 'ack')
    t.match(on('dead-letter'), [{ attributes: { dead_letter_step: 'recorder' } }])
    refused.add('dead-letter')
    t.equal(await handler(delivery({ events: [] })), 'nack')
  },
)

t.test(
  'a letter is kept before it is acked; a crash is reported, and ends the watch',
  async (t) => {
    const { sink: events, events: reported, refused } = publishing()
    const run = accepted(['bpm'])
    await acceptJobs(database, [run])
    const delivery = {
      ...{ id: `m-${run.job}`, attempt: 1, published: new Date() },
      data: Buffer.from(JSON.stringify(run)),
      attributes: {
        CloudPubSubDeadLetterSourceSubscription: 'analyze',
        CloudPubSubDeadLetterSourceDeliveryCount: '40',
      },
    }
    const keep = keepDeadLetters({ database, events, log })
    refused.add('events')
    t.equal(await keep(delivery), 'nack')
    refused.clear()
    t.equal(await keep(delivery), 'ack')
    t.equal(await keep(delivery), 'ack')
    t.match(reported, [
      { step: 'analyze', verdict: 'dead-lettered', code: 'CRASHED', job: run.job, run: 1 },
      { id: reported[0]?.id },
    ])
    const track = run.request.asset_guid
    const { letters } = await listLetters(database, 'open', { track }, { limit: 9 })
    t.match(letters, [{ step: 'analyze', code: 'CRASHED', attempt: 40 }])
    const settlement = await keep({ ...delivery, id: `n-${run.job}`, attributes: {} })
    t.equal(settlement, 'ack')
    t.equal(reported.length, 2, 'a letter with a reason of ours has been reported already')
    const away = interrupted(database, () => {
      throw new Error('away')
    })
    t.equal(await keepDeadLetters({ database: away, events, log })(delivery), 'nack')
  },
)
