import { mkdtemp, readdir, rm, stat, unlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  type Derivative,
  defineDerivative,
  type Parts,
  type Range,
  type Tools,
} from '#shared/assets/definition.ts'
import { unitStep } from '#shared/assets/make/unit-step.ts'
import { stopsOf } from '#shared/assets/make/unit-work.ts'
import type { Bus } from '#shared/bus/bus.ts'
import { RestartError } from '#shared/contracts/errors/chain.ts'
import { json } from '#shared/contracts/message.ts'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import type { RunEnded, StepDue } from '#shared/contracts/messages/run.ts'
import type { ObjectName } from '#shared/contracts/names.ts'
import { type MakingStage, perMakingStage } from '#shared/contracts/stages.ts'
import { type Cores, OwnCores } from '#shared/frame/cores.ts'
import { delivering } from '#shared/frame/deliver.ts'
import { stopName } from '#shared/frame/stops.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { locate, openStore } from '#shared/store/open.ts'
import { Isolation } from '#shared/underway/isolation.ts'
import { until } from '../../../support/patience.ts'
import { accepted } from '../../catalogue/fixture.ts'

// The rules of fan-out and fan-in, over real stores: outputs before inputs, one continuation, verdicts by name.
const RATE = 44_100
const SAMPLES = 4 * RATE
const never = new AbortController().signal
const cost = { fixedMs: 1, msPerSecond: 1 }
/** A plan without any step. */
const NO_STEPS = perMakingStage<number[][]>(() => [])

/** What an asset of these tests is to do next; by its id. */
type Behaviour = () => Promise<unknown>

/** Two assets of encode in parts of two seconds, one whole one of each stage. */
async function bench(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'units-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const master = join(folder, 'master.pcm')
  await writeFile(master, Buffer.alloc(4 * SAMPLES, 1))
  const uri = `file://${master}`
  const at = locate(uri)
  const { revision = '' } = (await at.driver.stat(at.name)) ?? {}
  const calls: string[] = []
  const does = new Map<string, Behaviour>()
  const act = async (what: string) => {
    calls.push(what)
    return does.get(what)?.()
  }
  const parts = (id: string, version = 1): Derivative =>
    defineDerivative({
      ...{ id, version, stage: 'encode', title: id, cost, grid: RATE },
      files: { txt: 'text/plain', bin: 'application/octet-stream' },
      async part({ start, end }: Range, { pcm }: Tools) {
        const samples = await pcm.read(start, end)
        const odd = await act(`${id} ${start / RATE}`)
        return (odd as Uint8Array) ?? Buffer.from(`${start} ${samples.length}\n`)
      },
      async join(pieces: Parts) {
        const all = await Array.fromAsync(pieces)
        const odd = await act(`${id} join`)
        return (odd as never) ?? { txt: Buffer.concat(all), bin: Buffer.from(`${all.length}`) }
      },
    })
  const whole = (id: string, stage: MakingStage): Derivative =>
    defineDerivative({
      ...{ id, version: 1, stage: stage as 'encode', title: id, cost, result: true },
      files: { json: 'application/json' },
      async render({ pcm }: Tools) {
        const samples = await pcm.read(0, RATE)
        const odd = await act(id)
        return (odd as never) ?? { json: Buffer.from(`{"read":${samples.length}}`) }
      },
    })
  const all = [
    parts('pieces'),
    parts('others'),
    whole('flac', 'encode'),
    whole('bpm', 'analyze'),
  ]
  const own = new Set<string>()
  const registry = Object.assign(new Map(all.map((asset) => [asset.id, asset])), { own })

  const sent: {
    topic: string
    body: StepDue | RunEnded
    attributes: Readonly<Record<string, string>>
  }[] = []
  const events: StepEvent[] = []
  const hooks: { onPublish?: (topic: string) => Promise<void> } = {}
  const bus: Pick<Bus, 'publish'> = {
    async publish(topic, { data, attributes }) {
      await hooks.onPublish?.(topic)
      sent.push({ topic, body: json(data, topic) as StepDue, attributes })
      return 'id'
    },
  }
  const assets = openStore(`file://${folder}/assets`)
  const scratch = openStore(`file://${folder}/scratch`)
  const message = (
    over: Partial<StepDue> = {},
    plan: Partial<StepDue['plan']> = {},
  ): StepDue => {
    const { masters: _, ...envelope } = accepted(['pieces'], { track: 'track' })
    const unit = (asset: string, start: number, end: number) => ({
      asset,
      version: 1,
      start,
      end,
    })
    return {
      ...envelope,
      master: { uri, revision, samples: SAMPLES, layout: 'WAV' },
      plan: {
        ...{ digest: '0123456789abcdef', revision },
        pcm: { kind: 'in-place', uri, revision, offset: 0, bigEndian: false, samples: SAMPLES },
        units: [
          unit('pieces', 0, 2 * RATE),
          unit('pieces', 2 * RATE, SAMPLES),
          unit('flac', 0, SAMPLES),
        ],
        steps: { ...NO_STEPS, encode: [[0], [1, 2]] },
        ...plan,
      },
      ...{ step: 0, verdicts: {} },
      ...over,
    }
  }
  const stepOf = (stage: MakingStage, masters = (driver: StoreDriver) => driver) =>
    unitStep(stage, {
      ...{ registry, isolation: new Isolation({ quietMs: 500 }) },
      locate(where) {
        const { driver, name } = locate(where)
        return { driver: masters(driver), name }
      },
      tools: (lent) => lent as never,
    })
  const run = (
    due: StepDue,
    {
      stage = 'encode' as MakingStage,
      attempt = 1,
      hardLimitMs = 13_000,
      store = scratch,
      cores = new OwnCores(1) as Cores,
      masters = (driver: StoreDriver) => driver,
      step = stepOf(stage, masters),
    } = {},
  ) => {
    return delivering(step, {
      ...{ bus: bus as Bus, assets, scratch: store, hardLimitMs },
      events: { report: async (event) => void events.push(event) },
      ...{ log: createLog('units', 'silent'), metrics: createMetrics('units') },
      ...{ cores, stopping: never, aborting: never, breaker: { isSuspect: async () => false } },
    })({
      ...{ id: '1', attributes: {}, attempt, published: new Date() },
      data: Buffer.from(JSON.stringify(due)),
    })
  }
  const names = async (which: 'assets' | 'scratch') =>
    (
      await readdir(join(folder, which), { recursive: true, withFileTypes: true }).catch(
        () => [],
      )
    )
      .filter((entry) => entry.isFile() && !entry.name.startsWith('.~'))
      .map((entry) =>
        join(entry.parentPath, entry.name).slice(folder.length + which.length + 2),
      )
      .sort()
  const topics = () => sent.map(({ topic }) => topic)
  const ends = () => sent.flatMap(({ topic, body }) => (topic === 'publish' ? [body] : []))
  const joins = () => sent.flatMap(({ topic, body }) => (topic === 'encode' ? [body] : []))
  return {
    ...{ folder, master, registry, calls, does, sent, events, hooks, assets, scratch, parts },
    ...{ message, stepOf, run, names, topics, ends, joins, own },
  }
}

const alone = (unit: number) => ({ steps: { ...NO_STEPS, encode: [[unit]] } })
const fails = (error: Error) => async () => {
  throw error
}

t.test('a plan of one step: made, and sent to publish; a copy finds it made', async (t) => {
  const { message, run, calls, ends, events, master, names } = await bench(t)
  const due = message({}, alone(2))
  t.equal(await run(due), 'ack')
  t.match(ends(), [
    { verdicts: { flac: { state: 'made', files: { json: 14 }, result: { read: 2 * RATE } } } },
  ])
  // Outputs before inputs: the master may have gone.
  await unlink(master)
  t.equal(await run(due), 'ack')
  t.strictSame(calls, ['flac'])
  t.same(ends()[1], ends()[0])
  t.match(events, [{ verdict: 'done', units: ['flac@1'] }, { verdict: 'skipped' }])
  t.strictSame(await names('scratch'), [])
})

t.test('what is an operator’s own comes behind what is built in', async (t) => {
  const { message, run, calls, own } = await bench(t)
  own.add('pieces')
  t.equal(await run(message({ step: 1 })), 'ack')
  t.strictSame(calls, ['flac', 'pieces 2'])
})

t.test('what has let a process stand still is made alone', async (t) => {
  const { message, stepOf, run, calls, does, scratch } = await bench(t)
  const [first, suspect, later] = [alone(0), alone(2), alone(1)].map((plan) =>
    message({}, plan),
  ) as [StepDue, StepDue, StepDue]
  const unit = suspect.plan.units[2] as StepDue['plan']['units'][number]
  const stops = stopsOf({ stage: 'encode', message: suspect }, unit)
  const options = { contentType: 'text/plain' }
  await scratch.create(stopName(stops, 'still'), new Uint8Array(), options)
  const [ends, suspectEnds] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  does.set('pieces 0', () => ends.promise)
  does.set('flac', () => suspectEnds.promise)
  const step = stepOf('encode')
  const cores = new OwnCores(3)
  const working = [run(first, { step, cores })]
  await until(() => calls.includes('pieces 0'))
  // Its limit does not run while it waits.
  working.push(run(suspect, { step, cores, attempt: 2, hardLimitMs: 300 }))
  await new Promise((resolve) => setTimeout(resolve, 1000))
  t.strictSame(calls, ['pieces 0'])
  ends.resolve()
  await until(() => calls.includes('flac'))
  working.push(run(later, { step, cores }))
  await new Promise((resolve) => setTimeout(resolve, 200))
  t.strictSame(calls, ['pieces 0', 'flac'], 'nor is anything begun beside it')
  suspectEnds.resolve()
  t.strictSame(await Promise.all(working), ['ack', 'ack', 'ack'])
  t.strictSame(calls, ['pieces 0', 'flac', 'pieces 2'])
})

t.test('of the steps of a stage the last one to end sends it on, once', async (t) => {
  const { message, run, topics, joins, ends, names, calls, events } = await bench(t)
  const due = message()
  t.equal(await run(due), 'ack')
  t.strictSame(topics(), [], 'the other is still owed')
  t.equal(await run({ ...due, step: 1 }), 'ack')
  t.strictSame(topics(), ['encode'])
  t.match(joins(), [{ step: 2 }])
  t.ok((await names('scratch')).some((name) => name.endsWith('/joined-encode-0')))
  for (const step of [0, 1]) t.equal(await run({ ...due, step }), 'ack', 'a late copy')
  t.strictSame(topics(), ['encode'])
  t.equal(await run(joins()[0] as StepDue), 'ack')
  t.equal(events.at(-1)?.units.length, 1, 'what is joined is joined once')
  t.strictSame(topics(), ['encode', 'publish'])
  t.match(ends(), [
    {
      verdicts: {
        pieces: { state: 'made', files: { txt: 22, bin: 1 } },
        flac: { state: 'made', result: { read: 2 * RATE } },
      },
    },
  ])
  t.strictSame(await names('scratch'), [], 'and nobody needs it any more')
  t.strictSame(calls.sort(), ['flac', 'pieces 0', 'pieces 2', 'pieces join'])
})

t.test('a step that was sent on but not marked is sent on again, as the same', async (t) => {
  const { message, run, joins, scratch } = await bench(t)
  const marking = (isAway: boolean): StoreDriver => ({
    ...scratch,
    create(name, ...rest) {
      if (isAway && name.includes('joined')) throw new Error('the store is away')
      return scratch.create(name, ...rest)
    },
  })
  const due = message()
  await run(due)
  t.equal(await run({ ...due, step: 1 }, { store: marking(true) }), 'nack')
  t.equal(await run({ ...due, step: 1 }, { store: marking(false) }), 'ack')
  t.equal(joins().length, 2)
  t.same(joins()[0], joins()[1])
})

t.test(
  'a run that begins anew on the same plan is not held up by its old marker',
  async (t) => {
    const { message, run, joins, names, scratch } = await bench(t)
    const due = message()
    for (const step of [0, 1]) await run({ ...due, step })
    t.equal(joins().length, 1)
    // Something is gone from scratch; the job has been to ingest and to stage again.
    for (const name of await names('scratch'))
      if (name.includes('/parts/')) await scratch.remove(name as ObjectName)
    t.equal(await run(joins()[0] as StepDue), 'ack')
    for (const step of [0, 1]) await run({ ...due, restarts: 1, step })
    t.match(joins(), [{ restarts: 0 }, { restarts: 1, step: 2 }])
  },
)

t.test('what has to begin anew goes to ingest once, each time that it begins', async (t) => {
  const { message, run, topics, sent, master, events } = await bench(t)
  await utimes(master, 1, 1)
  const due = message()
  for (const step of [0, 1, 1]) t.equal(await run({ ...due, step }), 'ack')
  t.strictSame(topics(), ['ingest'])
  t.match(events, [
    { verdict: 'restarted', code: 'MASTER_CHANGED' },
    { verdict: 'restarted' },
    {},
  ])
  for (const step of [0, 1]) await run({ ...due, restarts: 1, step })
  t.strictSame(topics(), ['ingest', 'ingest'], 'the marker of the first says nothing')
  t.match(sent[1]?.body, due.request)
  const begun = sent.map(({ attributes }) => attributes.restarts)
  t.strictSame(begun, ['1', '2'], 'so that it is known when it has been often enough')
  for (const step of [0, 1]) t.equal(await run({ ...due, restarts: 5, step }), 'ack')
  t.match(sent.at(-1), {
    topic: 'encode',
    body: { step: 2 },
  })
  t.match(events.at(-1), { verdict: 'failed', code: 'TOO_MANY_RESTARTS' })
})

t.test(
  'a part that throws is the verdict on its asset alone, and is not tried again',
  async (t) => {
    const { message, run, does, joins, ends, calls, names } = await bench(t)
    does.set('pieces 2', fails(new TypeError('a fault of its own')))
    const due = message()
    t.equal(await run({ ...due, step: 1 }), 'ack')
    t.equal(await run({ ...due, step: 1 }), 'ack')
    t.strictSame(calls, ['pieces 2', 'flac'], 'the other unit of the step has been made')
    await run(due)
    t.equal(await run(joins()[0] as StepDue), 'ack')
    t.match(ends(), [
      {
        verdicts: {
          pieces: {
            ...{ state: 'failed', code: 'RENDER_FAILED', step: 'encode', attempt: 1 },
            sentence: /pieces@1: .*a fault of its own/,
          },
          flac: { state: 'made' },
        },
      },
    ])
    t.notOk(calls.includes('pieces join'))
    const left = await names('scratch')
    t.ok(left.length > 0 && left.every((name) => /\/(failed|joined)/.test(name)), `${left}`)
    // A late copy must not try again what has failed, on samples that are gone.
    t.equal(await run({ ...due, step: 1 }), 'ack')
    t.notOk(calls.slice(3).includes('pieces 2'))
  },
)

t.test('a part, a file or a whole asset that gives no bytes has failed', async (t) => {
  for (const [what, odd] of [
    ['pieces 0', 'text'],
    ['pieces join', { txt: Buffer.from('x') }],
    ['pieces join', {}],
    ['pieces join', { txt: Buffer.from('x'), bin: 'text' }],
  ] as const) {
    const { message, run, does, joins, ends } = await bench(t)
    does.set(what, async () => odd)
    const due = message()
    for (const step of [0, 1]) await run({ ...due, step })
    t.equal(await run(joins()[0] as StepDue), 'ack')
    t.match(ends(), [{ verdicts: { pieces: { state: 'failed', code: 'RENDER_FAILED' } } }])
  }
})

t.test('a file that breaks off, or is not as long as it promises, has failed', async (t) => {
  const streamed = (byteLength: number, error?: Error) => ({
    byteLength,
    async *[Symbol.asyncIterator]() {
      yield Buffer.from('12345')
      if (error) throw error
    },
  })
  for (const [odd, code] of [
    [streamed(6), 'RENDER_FAILED'],
    [streamed(4), 'RENDER_FAILED'],
    [streamed(5, new Error('no')), 'RENDER_FAILED'],
    [streamed(5), undefined],
  ] as const) {
    const { message, run, does, ends, names } = await bench(t)
    does.set('pieces join', async () => ({ txt: odd, bin: Buffer.from('x') }))
    const unit = { asset: 'pieces', version: 1, start: 0, end: SAMPLES }
    const due = message({}, { units: [unit], steps: { ...NO_STEPS, encode: [[0]] } })
    t.equal(await run(due), 'ack')
    t.equal(ends().length, 1)
    const state = code ? 'failed' : 'made'
    t.match(ends(), [{ verdicts: { pieces: { state, ...(code && { code }) } } }])
    // The first file is written last: an asset of which half is there is not there.
    t.equal(
      (await names('assets')).some((name) => name.endsWith('.txt')),
      code === undefined,
    )
  }
})

t.test('of an asset that breaks off in its second file nothing looks whole', async (t) => {
  const { message, run, does, names } = await bench(t)
  does.set('pieces join', async () => ({ txt: Buffer.from('x'), bin: 'text' }))
  const unit = { asset: 'pieces', version: 1, start: 0, end: SAMPLES }
  await run(message({}, { units: [unit], steps: { ...NO_STEPS, encode: [[0]] } }))
  t.strictSame(await names('assets'), [])
})

t.test('a tool that fails is tried again; what else the step has is made first', async (t) => {
  const { message, run, does, calls, topics, scratch, assets, names } = await bench(t)
  const units = message().plan.units
  const due = message({}, { units, steps: { ...NO_STEPS, encode: [[0, 1, 2]] } })
  const broken: StoreDriver = {
    ...scratch,
    create(name, ...rest) {
      if (name.includes('/parts/')) throw new Error('the store is away')
      return scratch.create(name, ...rest)
    },
  }
  t.equal(await run(due, { store: broken }), 'nack')
  t.strictSame(calls, ['pieces 0', 'pieces 2', 'flac'])
  t.strictSame(topics(), [])
  t.strictSame(await names('scratch'), [], 'no verdict on it')
  t.ok(await assets.stat(`assets/track/${due.plan.revision}/flac@1.json` as ObjectName))
  does.clear()
  t.equal(await run(due), 'ack')
  t.equal(calls.filter((what) => what === 'flac').length, 1, 'what was made is not made again')
})

t.test('an asset is there when all of its files are', async (t) => {
  const { message, run, calls, joins, ends, assets } = await bench(t)
  const due = message()
  for (const step of [0, 1]) await run({ ...due, step })
  const name = `assets/track/${due.plan.revision}/pieces@1.bin` as ObjectName
  await assets.create(name, Buffer.from('2'), { contentType: 'x/y' })
  await run(joins()[0] as StepDue)
  t.ok(calls.includes('pieces join'))
  t.match(ends(), [{ verdicts: { pieces: { state: 'made', files: { txt: 22, bin: 1 } } } }])
})

t.test(
  'analysis is followed by the steps of encoding, with what is known so far',
  async (t) => {
    const { message, run, does, sent, ends } = await bench(t)
    does.set('bpm', fails(new Error('no beat')))
    const unit = { asset: 'bpm', version: 1, start: 0, end: SAMPLES }
    const units = [...message().plan.units, unit]
    const due = message(
      {},
      { units, steps: { ...NO_STEPS, analyze: [[3]], encode: [[0], [1, 2]] } },
    )
    t.equal(await run(due, { stage: 'analyze' }), 'ack')
    t.match(sent, [
      { topic: 'encode', body: { step: 0, verdicts: { bpm: { state: 'failed' } } } },
      { topic: 'encode', body: { step: 1, verdicts: { bpm: { state: 'failed' } } } },
    ])
    for (const { body } of sent.splice(0)) await run(body as StepDue)
    await run(sent[0]?.body as StepDue)
    t.match(ends(), [
      { verdicts: { bpm: { state: 'failed', step: 'analyze' }, pieces: { state: 'made' } } },
    ])
  },
)

t.test(
  'a version that is newer than this worker is given back, an older one begins anew',
  async (t) => {
    const { message, run, topics, registry, parts, events } = await bench(t)
    const units = message().plan.units.map((unit) => ({ ...unit, version: 2 }))
    const due = message({}, { units })
    t.equal(await run(due), 'nack')
    t.match(events, [{ verdict: 'retry', sentence: /pieces@2 is newer than this worker/ }])
    registry.set('pieces', parts('pieces', 3))
    t.equal(await run(due), 'ack')
    t.strictSame(topics(), ['ingest'])
    t.match(events.at(-1), { verdict: 'restarted', code: 'SUPERSEDED' })
    t.equal(await run({ ...due, restarts: 50 }), 'ack')
    t.strictSame(topics(), ['ingest', 'ingest'], 'for as long as a rollout takes')
  },
)

t.test('giving up is about the units of the step that are missing', async (t) => {
  const { message, run, does, joins, ends, scratch, events } = await bench(t)
  const due = message()
  const broken: StoreDriver = {
    ...scratch,
    create(name, ...rest) {
      if (name.includes('/parts/')) throw new Error('the store is away')
      return scratch.create(name, ...rest)
    },
  }
  does.clear()
  t.equal(await run({ ...due, step: 1 }, { store: broken, attempt: 20 }), 'ack')
  t.match(events, [{ verdict: 'failed', code: 'GAVE_UP', units: [/pieces@1/, 'flac@1'] }])
  await run(due)
  await run(joins()[0] as StepDue)
  t.match(ends(), [
    {
      verdicts: {
        pieces: { state: 'failed', code: 'GAVE_UP', attempt: 20 },
        flac: { state: 'made' },
      },
    },
  ])
})

t.test(
  'samples that have gone because a copy was quicker are no reason to begin anew',
  async (t) => {
    const { message, run, topics, joins, events } = await bench(t)
    const due = message()
    for (const step of [0, 1]) await run({ ...due, step })
    const [join_] = joins() as StepDue[]
    await run(join_ as StepDue)
    // The asset is there, and all else has been cleared.
    t.equal(await run(join_ as StepDue), 'ack')
    t.match(events.at(-1), { verdict: 'skipped' })
    t.strictSame(topics(), ['encode', 'publish', 'publish'])
  },
)

t.test(
  'a step that finds nothing to join because a copy was faster has nothing to do',
  async (t) => {
    const { message, run, topics, joins, events, scratch } = await bench(t)
    const due = message()
    for (const step of [0, 1]) await run({ ...due, step })
    const [join_] = joins() as [StepDue]
    let isFirst = true
    const racing: StoreDriver = {
      ...scratch,
      async read(name, options) {
        if (isFirst && name.includes('/parts/')) {
          isFirst = false
          await run(join_)
        }
        return scratch.read(name, options)
      },
    }
    t.equal(await run(join_, { store: racing }), 'ack')
    t.match(events.at(-1), { verdict: 'skipped' })
    t.strictSame(topics(), ['encode', 'publish', 'publish'], 'and none to ingest')
  },
)

t.test('what was made before is no part of giving up', async (t) => {
  const { message, run, ends } = await bench(t)
  await run(message({}, alone(2)))
  const other = { asset: 'others', version: 1, start: 0, end: SAMPLES }
  const units = [...message().plan.units, other]
  const away = (driver: StoreDriver): StoreDriver => {
    const fail = async () => Promise.reject(new Error('EIO'))
    return { ...driver, read: fail, readInto: fail }
  }
  const both = message({}, { units, steps: { ...NO_STEPS, encode: [[2, 3]] } })
  t.equal(await run(both, { masters: away, attempt: 20 }), 'ack')
  t.match(ends()[1]?.verdicts, {
    flac: { state: 'made' },
    others: { state: 'failed', code: 'GAVE_UP' },
  })
})

t.test('parts that have gone are a reason to begin anew', async (t) => {
  const { message, run, topics, joins, events, names, scratch } = await bench(t)
  const due = message()
  for (const step of [0, 1]) await run({ ...due, step })
  for (const name of await names('scratch'))
    if (name.includes('/parts/')) await scratch.remove(name as ObjectName)
  t.equal(await run(joins()[0] as StepDue), 'ack')
  t.strictSame(topics(), ['encode', 'ingest'])
  t.match(events.at(-1), { verdict: 'restarted', code: 'SCRATCH_MISSING' })
})

t.test('what was sent may overtake the marker: then nothing stays in scratch', async (t) => {
  const { message, run, hooks, joins, sent, names, topics } = await bench(t)
  const due = message()
  await run(due)
  hooks.onPublish = async (topic) => {
    if (topic !== 'encode' || joins().length > 0) return
    delete hooks.onPublish
    // The join comes to its end before the one that has sent it can leave its marker.
    await run({ ...due, step: 2, verdicts: {} })
  }
  t.equal(await run({ ...due, step: 1 }), 'ack')
  t.strictSame(topics(), ['publish', 'encode'])
  t.strictSame(await names('scratch'), [])
  await run(sent[1]?.body as StepDue)
  t.strictSame(await names('scratch'), [])
})

t.test('a unit that is stopped again and again fails alone, and keeps no other', async (t) => {
  const { message, run, does, calls, events, names } = await bench(t)
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(alive))
  const due = message({ step: 1 })
  does.set('pieces 2', () => new Promise<never>(() => {}))
  const stops = async () =>
    (await names('scratch')).flatMap((name) => name.split('/stopped/')[1]?.split('/')[1] ?? [])
  for (const attempt of [1, 2]) {
    t.equal(await run(due, { attempt, hardLimitMs: 400 }), 'nack')
    t.strictSame(await stops(), Array(attempt).fill('pieces@1'))
  }
  t.strictSame(
    calls,
    ['pieces 2', 'flac', 'pieces 2'],
    'it comes last when it has been stopped',
  )
  const flac = `flac@1 0-${SAMPLES}`
  t.match(events, [{ units: [] }, { verdict: 'retry', units: [flac] }], 'what is there is said')
  t.equal(await run(due, { attempt: 3, hardLimitMs: 5000 }), 'ack')
  t.equal(calls.length, 3, 'it is not begun again')
  t.ok((await names('scratch')).some((name) => name.includes('/failed/pieces@1/')))
  t.ok(
    (await names('assets')).some((name) => name.includes('flac@1')),
    'the other is made',
  )
  t.match(events.at(-1), { verdict: 'done' })
})

t.test('a result that no client could read is not kept', async (t) => {
  for (const json of ['no JSON', '['.repeat(40) + ']'.repeat(40), `"${'x'.repeat(70_000)}"`]) {
    const { message, run, does, names, ends } = await bench(t)
    does.set('flac', async () => ({ json: Buffer.from(json) }))
    await run(message({}, alone(2)))
    t.match(ends(), [{ verdicts: { flac: { state: 'failed', code: 'RENDER_FAILED' } } }])
    t.strictSame(await names('assets'), [])
  }
})

t.test('only the chain may say that a run has to begin anew', async (t) => {
  const { message, run, does, ends } = await bench(t)
  does.set('flac', fails(new RestartError('SCRATCH_MISSING', 'says the asset')))
  await run(message({}, alone(2)))
  t.match(ends(), [{ verdicts: { flac: { state: 'failed', code: 'RENDER_FAILED' } } }])
})

t.test('a message whose parts do not fit each other is a dead letter', async (t) => {
  const { message, run, topics, events, calls } = await bench(t)
  const unit = { asset: 'pieces', version: 1, start: 0, end: RATE }
  for (const odd of [
    message({ step: 3 }),
    message({}, { steps: { ...NO_STEPS, encode: [[0], [7]] } }),
    message(
      {},
      { units: [{ ...unit, start: 5, end: 5 }], steps: { ...NO_STEPS, encode: [[0]] } },
    ),
    message(
      {},
      { units: [{ ...unit, end: SAMPLES + 1 }], steps: { ...NO_STEPS, encode: [[0]] } },
    ),
  ]) {
    t.equal(await run(odd), 'ack')
    t.match(events.at(-1), { verdict: 'dead-lettered', code: 'NOT_A_MESSAGE' })
  }
  t.strictSame(topics(), Array(4).fill('dead-letter'))
  t.strictSame(calls, [])
})

t.test(
  'what is written is as long as it says, and under the names of its content',
  async (t) => {
    const { message, run, folder, names } = await bench(t)
    const due = message({}, alone(2))
    await run(due)
    const name = `assets/track/${due.plan.revision}/flac@1.json`
    t.strictSame(await names('assets'), [name])
    t.equal((await stat(join(folder, 'assets', name))).size, 14)
  },
)

t.test(
  'a store that fails under an asset is no fault of the asset, however it wraps it',
  async (t) => {
    const broken = (driver: StoreDriver): StoreDriver => {
      const fail = async () => Promise.reject(new Error('EIO'))
      return { ...driver, read: fail, readInto: fail }
    }
    const ways: Record<string, (tools: Tools) => Promise<unknown>> = {
      plain: ({ pcm }) => pcm.read(0, RATE),
      wrapped: ({ pcm }) =>
        pcm.read(0, RATE).catch((cause) => {
          throw new Error('no samples', { cause: new Error('none at all', { cause }) })
        }),
      pieces: ({ pcm, signal }) => Array.fromAsync(pcm.chunks(0, RATE, { signal })),
    }
    for (const [way, read] of Object.entries(ways)) {
      const { message, run, registry, topics, names, events } = await bench(t)
      const flac = registry.get('flac') as Derivative
      const render = async (tools: Tools) => {
        await read(tools)
        return { json: Buffer.from('{}') }
      }
      registry.set('flac', { ...flac, render } as Derivative)
      const due = message({}, alone(2))
      t.equal(await run(due, { masters: broken }), 'nack', way)
      t.match(events, [{ verdict: 'retry' }])
      t.strictSame(topics(), [])
      t.strictSame(await names('scratch'), [])
      t.equal(await run(due), 'ack')
    }
  },
)

t.test('a store that is away says nothing of what has failed', async (t) => {
  const { message, run, calls, scratch } = await bench(t)
  const away: StoreDriver = { ...scratch, read: async () => Promise.reject(new Error('EIO')) }
  t.equal(await run(message(), { store: away }), 'nack')
  t.strictSame(calls, [])
})

t.test('what computes has a core, and gives it back before it writes', async (t) => {
  const { message, run, calls, does } = await bench(t)
  const take = async () => {
    calls.push('take')
    await new Promise(setImmediate)
    calls.push('taken')
    return () => {
      calls.push('back')
    }
  }
  const cores = { take, tryTake: take }
  await run(message({}, alone(2)), { cores })
  does.set('pieces 0', fails(new Error('no')))
  await run(message(), { cores })
  const around = (what: string) => ['take', 'taken', what, 'back']
  t.strictSame(calls, [...around('flac'), ...around('pieces 0')])
})
