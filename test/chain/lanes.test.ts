import t from 'tap'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import { listLetters } from '#shared/catalogue/letters/read-letters.ts'
import { OwnCores } from '#shared/frame/cores.ts'
import { eventSink } from '#shared/frame/events.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { letterActions } from '../../services/ingest/dead-letters/redrive.ts'
import { wav } from '../support/audio.ts'
import { surroundings, until } from '../support/chain.ts'
import { allConsumers } from '../support/one-process.ts'
import { timeLimit } from '../support/patience.ts'
import { club } from '../support/synth.ts'

const around = await surroundings()
const { bus, database, config, published, letters } = around
/** The subscriptions that the messages of each track came from, by its name. */
const passed = new Map<string, Set<string>>()
const cores = new OwnCores(1)
const open = (only?: readonly string[]) =>
  allConsumers({
    ...{ config, bus, database, cores, log: createLog('lanes', 'fatal') },
    ...(only && { only }),
    async beforeAck(subscription, data) {
      const { request } = JSON.parse(`${data}`)
      const track = request?.asset_guid
      if (track === undefined) return
      passed.set(track, (passed.get(track) ?? new Set()).add(subscription))
    },
  })
let consumers = await open(['ingest', 'events', 'stage.backfill'])
t.teardown(async () => {
  await consumers.close()
  await around.close()
})

const attemptsOf = async (track: string) =>
  (await trackHistory(database, track, { limit: 1000 })).events.map(({ attempt }) => attempt)
const hasPassed = (track: string, subscription: string) =>
  passed.get(track)?.has(subscription) === true

t.test('an urgent job overtakes a backlog, and each job stays in its lane', async (t) => {
  const backlog = ['b1', 'b2', 'b3', 'b4', 'b5']
  const derivative_assets = ['bpm', 'waveform']
  const audio = wav(club(44_100))
  for (const track of [...backlog, 'u']) await around.master(track, audio)
  for (const asset_guid of backlog)
    await around.submit({ asset_guid, derivative_assets, lane: 'backfill' })
  await until(() => backlog.every((track) => hasPassed(track, 'stage.backfill')), 60_000)

  // The consumers end in the middle of the runs, and others go on with them.
  await consumers.close()
  const leave = await cores.take(timeLimit(60_000))
  consumers = await open()
  await around.submit({ asset_guid: 'u', derivative_assets, lane: 'urgent' })
  await until(() => hasPassed('u', 'stage.urgent'), 60_000)
  leave()
  await until(
    () =>
      published.size === 6 &&
      hasPassed('u', 'publish.urgent') &&
      backlog.every((track) => hasPassed(track, 'publish.backfill')),
    120_000,
  )

  const order = [...published.keys()]
  t.ok(order.indexOf('u') <= 1, `published in the order ${order}`)
  const inLane = (lane: string) =>
    ['analyze', 'encode', 'publish', 'stage'].map((stage) => `${stage}.${lane}`)
  const stages = (track: string) =>
    [...(passed.get(track) ?? [])].filter((name) => name !== 'events').sort()
  t.same(stages('u'), inLane('urgent'))
  for (const track of backlog) t.same(stages(track), inLane('backfill'))
  for (const track of order)
    t.ok(Math.max(...(await attemptsOf(track))) <= 3, `attempts of ${track}`)
  t.same(letters, [])
})

t.test('a redrive stays in the lane, and a lane that is none is a dead letter', async (t) => {
  await around.master('mended', Buffer.from('no audio'))
  const request_id = 'to-be-mended'
  const job = { request_id, asset_guid: 'mended', derivative_assets: ['bpm'] }
  await around.submit({ ...job, lane: 'backfill' })
  const kept = async () =>
    (await listLetters(database, 'all', { track: 'mended' }, { limit: 9 })).letters
  await until(async () => (await kept()).length > 0, 60_000)
  const [letter] = await kept()
  t.equal(letter?.job?.request.lane, 'backfill')

  await until(() => hasPassed('mended', 'publish.backfill'), 60_000)
  passed.clear()
  const pace = { rate: 1000, limit: 1, mostMs: 60_000, signal: new AbortController().signal }
  await letterActions({ bus, events: eventSink(bus), database }).redrive(
    { ids: [letter?.id ?? ''] },
    'test',
    pace,
  )
  await until(async () => (await jobsOfRequest(database, request_id))[0]?.run === 2, 60_000)
  await until(() => hasPassed('mended', 'publish.backfill'), 60_000)
  t.same([...(passed.get('mended') ?? [])].sort(), ['publish.backfill', 'stage.backfill'])

  await bus.publish('ingest', {
    data: Buffer.from('{"asset_guid":"odd","lane":"fast"}'),
    attributes: {},
  })
  const odd = () => letters.find(({ body }) => body.includes('"odd"'))
  await until(() => odd() !== undefined, 60_000)
  t.match(odd()?.attributes, {
    dead_letter_code: 'NOT_AN_ENCODE_JOB',
    dead_letter_reason: /lane must be one of "urgent", "new", "backfill", got "fast"/,
  })
})
