import { unlink, utimes } from 'node:fs/promises'
import t from 'tap'
import { keptFacts } from '#shared/assets/master-facts.ts'
import type { StepDue } from '#shared/contracts/messages/run.ts'
import type { ObjectName, Revision } from '#shared/contracts/names.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'

import { alone, bench, fails, NO_STEPS, RATE, SAMPLES } from './step-bench.ts'

// The rules of fan-out and fan-in, over real stores: outputs before inputs, one continuation.

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

t.test(
  'the end of a run keeps what an examination has found out about its master',
  async (t) => {
    const { message, run, names, assets } = await bench(t)
    const due = message({}, alone(2))
    const { uri, revision, layout } = due.master
    t.equal(await run(due), 'ack')
    t.same(await names('assets'), [`assets/track/${revision}/flac@1.json`], 'nothing of a WAV')
    const warnings = [{ code: 'CUT_SHORT', sentence: 'the WAV is cut short' }]
    const cases = {
      f1: { samples: 7, layout, warnings },
      f2: { samples: 7, layout: 'FLAC 16-bit 44100 Hz 2 channels' },
    }
    for (const [revision, facts] of Object.entries(cases)) {
      const of = message({ master: { uri, revision, ...facts } }, { ...alone(2), revision })
      t.equal(await run(of), 'ack')
      const { signal } = new AbortController()
      const kept = await keptFacts('track', revision as Revision, { assets, signal })
      t.same(kept, { warnings: [], ...facts })
    }
  },
)

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

t.test('a store that is away says nothing of what has failed', async (t) => {
  const { message, run, calls, scratch } = await bench(t)
  const away: StoreDriver = { ...scratch, read: async () => Promise.reject(new Error('EIO')) }
  t.equal(await run(message(), { store: away }), 'nack')
  t.strictSame(calls, [])
})
