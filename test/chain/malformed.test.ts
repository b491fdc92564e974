import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { Bus } from '#shared/bus/bus.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import { Events } from '#shared/contracts/messages/event.ts'
import { RunEnded, StepDue, ToStage } from '#shared/contracts/messages/run.ts'
import { jobId } from '#shared/contracts/names.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { wav } from '../support/audio.ts'
import { surroundings, until } from '../support/chain.ts'
import { malformed } from '../support/masters/malformed.ts'
import { allConsumers } from '../support/one-process.ts'
import { heldMemory } from '../support/processes/held-memory.ts'
import { club } from '../support/synth.ts'

const around = await surroundings({ max_message_kib: 1024 })
const { database, config, letters, published } = around
const log = createLog('malformed', 'fatal')
/** The last valid message to each topic. */
const sound = new Map<string, Record<string, unknown>>()
let isOver = false
const bus: Bus = {
  ...around.bus,
  publish(topic, message) {
    if (!isOver) sound.set(topic, JSON.parse(message.data.toString()))
    return around.bus.publish(topic, message)
  },
}
const consumers = await allConsumers({ config, bus, database, log })
t.teardown(async () => {
  await consumers.close()
  await around.close()
})

async function aJob(track: string): Promise<string | undefined> {
  await around.master(track, wav(club(44_100)))
  const job = {
    request_id: randomUUID(),
    asset_guid: track,
    site: 'cloud',
    title: 'T',
    artist: 'A',
  }
  const whole = { ...job, release_id: 1, asset_id: 2, derivative_assets: ['echo', 'pieces'] }
  if (!isOver) sound.set('ingest', whole)
  await around.submit(whole)
  await until(() => published.has(track), 60_000)
  return published.get(track)?.[0]?.state
}

/** The optional fields of a message of each topic, and the fields that are not validated. */
const OPTIONAL = ['release_id', 'asset_id', 'site', 'title', 'artist', 'master_uri']
const RULES: Record<string, Parameters<typeof malformed>[1]> = {
  // Without asset_guid the track is named by asset_id.
  ingest: { optional: [...OPTIONAL, 'asset_guid', 'request_id', 'derivative_assets'] },
  stage: { optional: OPTIONAL },
  analyze: { optional: OPTIONAL },
  encode: { optional: [...OPTIONAL, 'echo', 'result'], free: ['result', 'files'] },
  publish: { optional: [...OPTIONAL, 'echo', 'pieces', 'result'], free: ['result', 'files'] },
  events: {
    optional: [
      ...OPTIONAL,
      'job',
      'track',
      'run',
      'route',
      'code',
      'sentence',
      'request',
      ...['cpu_ms', 'bytes_read', 'bytes_written', 'store_operations'],
      ...['bytes_from_cloud', 'bytes_to_cloud'],
    ],
  },
}

/** What each consumer parses its messages by. */
const CONTRACTS: Readonly<Record<string, { parse(data: Buffer): unknown }>> = {
  ...{ ingest: EncodeJob, stage: ToStage, analyze: StepDue, encode: StepDue },
  ...{ publish: RunEnded, events: Events },
}
const CODES = /^(NOT_JSON|NOT_A_MESSAGE|NOT_AN_ENCODE_JOB|NO_TRACK|MESSAGE_TOO_LARGE)$/
/** All cases are parsed. What its contract refuses is refused before anything else, so that of these only some are sent. */
const SENT = 4

/** Why a contract refuses a message; undefined where it does not. */
function refusalOf(topic: string, body: Buffer): string | undefined {
  try {
    CONTRACTS[topic]?.parse(body)
    return undefined
  } catch (error) {
    if (!(error instanceof PermanentError)) return `${error}`
    return CODES.test(error.code) && error.message.length > 10 ? error.code : `${error}`
  }
}

t.test(
  'every message that breaks its contract becomes one dead letter that says why',
  async (t) => {
    t.equal(await aJob('before'), 'done')
    isOver = true
    const broken: { topic: string; what: string; body: Buffer }[] = []
    for (const [topic, rules] of Object.entries(RULES)) {
      const message = sound.get(topic)
      if (message === undefined) throw new Error(`nothing was sent to ${topic}`)
      for (const each of malformed(message, rules)) broken.push({ topic, ...each })
    }
    t.ok(broken.length >= 200, `${broken.length} messages`)
    const parsed = broken.map((each) => ({ ...each, code: refusalOf(each.topic, each.body) }))
    const misjudged = parsed.filter(({ code }) => code !== undefined && !CODES.test(code))
    t.same(misjudged, [])
    const cases = parsed.filter(({ code }, n) => code === undefined || n % SENT === 0)
    const large = { topic: 'ingest', what: 'of 2 MB', body: Buffer.alloc(2_000_000, ' ') }
    cases.push({ ...large, code: 'MESSAGE_TOO_LARGE' })
    t.comment(`${cases.length} of ${broken.length} are sent`)
    await Promise.all(
      cases.map(({ topic, body }, index) =>
        around.bus.publish(topic, { data: body, attributes: { case: String(index) } }),
      ),
    )
    await until(() => letters.length >= cases.length, 120_000).catch(() => {})
    const wrong: string[] = []
    for (const [index, { topic, what, code }] of cases.entries()) {
      const found = letters.filter(({ attributes }) => attributes.case === String(index))
      const [letter] = found
      const { dead_letter_code, dead_letter_reason, dead_letter_attempt } =
        letter?.attributes ?? {}
      const isRight =
        found.length === 1 &&
        CODES.test(dead_letter_code ?? '') &&
        [undefined, dead_letter_code].includes(code) &&
        (dead_letter_reason?.length ?? 0) > 10 &&
        dead_letter_attempt === '1'
      if (!isRight)
        wrong.push(
          `${topic}: ${what}: ${found.length} ${dead_letter_code} ${dead_letter_reason}`,
        )
    }
    t.same(wrong, [])
    t.equal(letters.length, cases.length, 'and nothing else was set aside')
    t.equal(await aJob('after'), 'done')

    const before = await heldMemory()
    for (const { topic, body } of cases.slice(0, -1))
      await around.bus.publish(topic, { data: body, attributes: {} })
    await until(() => letters.length >= 2 * cases.length - 1, 120_000)
    const after = await heldMemory()
    t.ok(after < 1.15 * before, `${before >> 20} MiB before, ${after >> 20} MiB after`)
  },
)

/** Messages that satisfy their contracts but are impossible, with the expected verdict for each. */
const NONSENSE: Record<string, [topic: string, changes: Change, verdict: string]> = {
  'a master elsewhere': ['stage', { masters: ['file:///etc/passwd'] }, 'MASTER_OUT_OF_BOUNDS'],
  'a master on the web': ['stage', { masters: ['http://192.0.2.1/x'] }, 'NOT_A_MESSAGE'],
  'a master of no name': ['stage', { masters: [''] }, 'NOT_A_MESSAGE'],
  'an upload that climbs': ['stage', { masters: ['upload:../../etc'] }, 'NOT_A_MESSAGE'],
  'samples elsewhere': [
    'analyze',
    { 'plan.pcm.uri': 'file:///etc/passwd' },
    'MASTER_OUT_OF_BOUNDS',
  ],
  'samples on the web': ['analyze', { 'plan.pcm.uri': 'http://192.0.2.1/x' }, 'NOT_A_MESSAGE'],
  'a unit that the plan lacks': ['analyze', { 'plan.steps.analyze': [[99]] }, 'NOT_A_MESSAGE'],
  'a step that the plan lacks': ['analyze', { step: 99 }, 'NOT_A_MESSAGE'],
  'a unit of another track': ['analyze', { 'plan.units.0.end': 1e9 }, 'NOT_A_MESSAGE'],
  'a unit without samples': ['analyze', { 'plan.units.0.end': 0 }, 'NOT_A_MESSAGE'],
  'a track of a million years': [
    'analyze',
    { 'plan.pcm.samples': 2 ** 53 - 1 },
    'NOT_A_MESSAGE',
  ],
  'parts of one sample': [
    'analyze',
    { 'plan.pcm': { kind: 'staged', partSamples: 1, samples: 44_100 } },
    'NOT_A_MESSAGE',
  ],
  'a file that climbs': [
    'publish',
    { 'verdicts.echo': { state: 'made', version: 1, files: { '../../x': 1 } } },
    'NOT_A_MESSAGE',
  ],
  'a tempo that no analysis answers': [
    'publish',
    { 'verdicts.bpm': { state: 'made', version: 3, files: { json: 9 }, result: { bpm: 666 } } },
    'NOT_A_MESSAGE',
  ],
  "another job's end": ['publish', { 'request.request_id': 'another' }, 'NOT_A_MESSAGE'],
  'numbers that no reader has exactly': [
    'ingest',
    { release_id: -(2 ** 53), asset_id: 1e300 },
    'NOT_AN_ENCODE_JOB',
  ],
  'the largest numbers': ['ingest', { release_id: 1 - 2 ** 53, asset_id: 2 ** 53 - 1 }, 'made'],
}
type Change = Readonly<Record<string, unknown>>

t.test(
  'messages that keep their contracts and say what cannot be have their verdicts',
  async (t) => {
    for (const [index, [what, [topic, changes, verdict]]] of Object.entries(
      NONSENSE,
    ).entries()) {
      const track = `nonsense-${index}`
      const message = structuredClone(sound.get(topic)) ?? {}
      await around.master(track, wav(club(44_100)))
      for (const [path, value] of Object.entries({ ...nameOf(topic, track), ...changes })) {
        const names = path.split('.')
        const holder = names
          .slice(0, -1)
          .reduce((at, name) => at[name] as Record<string, unknown>, message)
        holder[names.at(-1) ?? ''] = value
      }
      const data = Buffer.from(JSON.stringify(message))
      await around.bus.publish(topic, { data, attributes: { case: track } })
      const code = () =>
        letters.find(({ attributes }) => attributes.case === track)?.attributes.dead_letter_code
      await until(() => code() !== undefined || published.has(track), 60_000).catch(() => {})
      const [asset] = published.get(track)?.[0]?.assets ?? []
      const got = code() ?? (asset?.state === 'failed' ? asset.code : asset?.state)
      t.equal(got, verdict, what)
    }
    t.equal(await aJob('at-last'), 'done')
  },
)

/** The changes that name an unknown track and a new job. */
function nameOf(topic: string, track: string): Change {
  const request_id = randomUUID()
  if (topic === 'ingest') return { asset_guid: track, request_id }
  const names = { 'request.asset_guid': track, 'request.request_id': request_id }
  return { ...names, job: jobId(request_id, track) }
}
