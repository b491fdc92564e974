import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Derivative, Tools } from '#shared/assets/definition.ts'
import { stopsOf } from '#shared/assets/make/unit-work.ts'
import { RestartError } from '#shared/contracts/errors/chain.ts'
import type { StepDue } from '#shared/contracts/messages/run.ts'
import type { ObjectName } from '#shared/contracts/names.ts'
import { OwnCores } from '#shared/frame/cores.ts'
import { stopName } from '#shared/frame/stops.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { lull, until } from '../../../support/patience.ts'
import { alone, bench, fails, NO_STEPS, RATE, SAMPLES } from './step-bench.ts'

// How the units of a step are made, and what is said of those that fail.

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
  await lull(1000)
  t.strictSame(calls, ['pieces 0'])
  ends.resolve()
  await until(() => calls.includes('flac'))
  working.push(run(later, { step, cores }))
  await lull(200)
  t.strictSame(calls, ['pieces 0', 'flac'], 'nor is anything begun beside it')
  suspectEnds.resolve()
  t.strictSame(await Promise.all(working), ['ack', 'ack', 'ack'])
  t.strictSame(calls, ['pieces 0', 'flac', 'pieces 2'])
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
  const cores = { take }
  await run(message({}, alone(2)), { cores })
  does.set('pieces 0', fails(new Error('no')))
  await run(message(), { cores })
  const around = (what: string) => ['take', 'taken', what, 'back']
  t.strictSame(calls, [...around('flac'), ...around('pieces 0')])
})
