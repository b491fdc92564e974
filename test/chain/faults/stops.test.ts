import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import t from 'tap'
import { Type } from 'typebox'
import { encodeAac } from '#shared/audio/ffmpeg.ts'
import type { Settlement } from '#shared/bus/bus.ts'
import { defineMessage } from '#shared/contracts/message.ts'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import type { ObjectName } from '#shared/contracts/names.ts'
import { OwnCores } from '#shared/frame/cores.ts'
import { type DeliverDeps, delivering, MAX_ATTEMPTS } from '#shared/frame/deliver.ts'
import { eventSink } from '#shared/frame/events.ts'
import { defineStep } from '#shared/frame/step.ts'
import { MAX_IDLE_STOPS, MAX_STOPS } from '#shared/frame/stops.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import { surroundings, until } from '../../support/chain.ts'

const around = await surroundings()
t.teardown(() => around.close())

const Due = defineMessage('stops-test@1', { step: Type.String(), makes: Type.Boolean() })

/** A step that never ends by itself. It makes one more unit at each attempt, or none. */
const endless = defineStep({
  name: 'analyze',
  input: Due,
  subject: () => ({}),
  async run({ step, makes }, { write, delivery }) {
    const name = `units/${step}/${delivery.attempt}` as ObjectName
    if (makes) await write('scratch', name, new Uint8Array(1), 'text/plain')
    return new Promise<never>(() => {})
  },
  stops: ({ step }) => `cloud/job/1/stopped/${step}/`,
  fail: async () => ({ sends: [], verdict: 'failed' }),
})

const never = new AbortController().signal
let isSuspect = false

const deps: DeliverDeps = {
  ...{ bus: around.bus, events: eventSink(around.bus), log: createLog('stops', 'fatal') },
  ...{ assets: around.store('assets'), scratch: around.store('scratch') },
  metrics: createMetrics('stops'),
  ...{ stopping: never, aborting: never, breaker: { isSuspect: async () => isSuspect } },
  hardLimitMs: 100,
}
const handle = delivering(endless, deps)

/**
 * The settlements of a step that is stopped at each of these attempts. At the attempts in between, its worker
 * dies.
 */
async function settled(makes: boolean, attempts: readonly number[]): Promise<Settlement[]> {
  const data = Buffer.from(JSON.stringify({ step: randomUUID(), makes }))
  const settlements: Settlement[] = []
  for (const attempt of attempts) {
    const delivery = { id: '1', data, attributes: {}, attempt, published: new Date() }
    settlements.push(await handle(delivery))
  }
  return settlements
}

t.test('deliveries that died with their worker do not make a step too slow', async (t) => {
  const often = Array.from({ length: MAX_IDLE_STOPS + 1 }, (_, i) => MAX_ATTEMPTS * (i + 1))
  const settlements = await settled(false, often)
  t.same(settlements.slice(0, -1), Array(MAX_IDLE_STOPS).fill('nack'))
  t.equal(settlements.at(-1), 'ack', 'that number of stops with nothing made is enough')
})

t.test(
  'a step that makes one unit after another is stopped as often as it takes',
  async (t) => {
    const attempts = Array.from({ length: MAX_STOPS + 3 }, (_, i) => i + 1)
    t.same(await settled(true, attempts), Array(attempts.length).fill('nack'))
  },
)

t.test('no stop counts while an upstream may be at fault', async (t) => {
  isSuspect = true
  const attempts = Array.from({ length: MAX_STOPS + 3 }, (_, i) => i + 1)
  t.same(await settled(false, attempts), Array(attempts.length).fill('nack'))
})

t.test(
  'at the hard limit ffmpeg is killed, and the message goes back with the reason',
  async (t) => {
    const reported: StepEvent[] = []
    const encode = defineStep({
      name: 'encode',
      input: Due,
      subject: () => ({}),
      async run(_, { signal }) {
        for await (const piece of encodeAac(silence(), 128_000, signal)) t.ok(piece.length > 0)
        throw new Error('it has no end')
      },
    })
    const handle = delivering(encode, {
      ...deps,
      events: { report: async (event) => void reported.push(event) },
      hardLimitMs: 1500,
    })
    const data = Buffer.from(JSON.stringify({ step: 'endless', makes: false }))
    const delivery = { id: '1', data, attributes: {}, attempt: 1, published: new Date() }
    t.equal(await handle(delivery), 'nack')
    t.match(reported, [{ verdict: 'retry', sentence: 'stopped at the hard limit of 1.5 s' }])
    await until(async () => (await ffmpegs()).length === 0)
  },
)

t.test('what waits for a core is given back as soon as nothing may be begun', async (t) => {
  const stopping = new AbortController()
  const cores = new OwnCores(1)
  await cores.take(never)
  const step = defineStep({
    ...endless,
    run: (_, context) => context.onCore(() => new Promise<never>(() => {})),
  })
  const handle = delivering(step, { ...deps, cores, stopping: stopping.signal })
  const data = Buffer.from(JSON.stringify({ step: 'waits', makes: false }))
  const delivery = { id: '1', data, attributes: {}, attempt: 1, published: new Date() }
  const waiting = handle(delivery)
  stopping.abort(new Error('stopping'))
  t.equal(await waiting, 'nack')
  t.equal(await handle(delivery), 'nack', 'nor is anything begun later')
})

t.test('no attempt counts while an upstream may be at fault', async (t) => {
  const failing = defineStep({
    ...endless,
    run: () => Promise.reject(new Error('503')),
  })
  const data = Buffer.from(JSON.stringify({ step: 'fails', makes: false }))
  const delivery = { id: '1', data, attributes: {}, attempt: 45, published: new Date() }
  for (const [doubt, settlement] of [
    [true, 'nack'],
    [false, 'ack'],
  ] as const) {
    const handle = delivering(failing, { ...deps, breaker: { isSuspect: async () => doubt } })
    t.equal(await handle(delivery), settlement)
  }
})

async function* silence(): AsyncGenerator<Uint8Array> {
  for (;;) yield new Uint8Array(352_800)
}

/** The ffmpeg processes that this process has started. */
async function ffmpegs(): Promise<string[]> {
  const args = ['--ppid', `${process.pid}`, '-o', 'comm=']
  const { stdout } = await promisify(execFile)('ps', args)
  return stdout.split('\n').filter((name) => name.includes('ffmpeg'))
}
