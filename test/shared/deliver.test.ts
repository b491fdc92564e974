import { getEventListeners } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Type } from 'typebox'
import type { Bus } from '#shared/bus/bus.ts'
import {
  type DeliverDeps,
  delivering,
  MOST_ATTEMPTS,
  MOST_OVER_BUDGET,
} from '#shared/deliver.ts'
import { PermanentError, RestartError } from '#shared/errors.ts'
import { createLog } from '#shared/log.ts'
import { defineMessage } from '#shared/message.ts'
import { MOST_UNITS, type StepEvent } from '#shared/messages/event.ts'
import { createMetrics } from '#shared/metrics.ts'
import type { ObjectName } from '#shared/names.ts'
import { type Next, type Step, type StepContext, send } from '#shared/step.ts'
import { openStore } from '#shared/store/open.ts'
import { scraped } from '../support/scraped.ts'

// The rules of DESIGN.md, section 5, one by one, over real stores.
// What a test waits for may be all that keeps the process.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

const Note = defineMessage('note@1', { track: Type.String() })
type Note = { readonly track: string }
const to = (topic: string, verdict: Next['verdict']): Next => ({
  sends: [send(topic, Note, { track: 'a' })],
  verdict,
})
const DONE = to('next', 'done')
const FAILED = to('failed', 'failed')

interface Options {
  readonly step?: Partial<Step<Note>>
  readonly deps?: Partial<DeliverDeps>
  /** Topics that refuse, or `event` for the events. */
  readonly refuses?: readonly string[]
  readonly attempt?: number
  readonly body?: string
}

/** Delivers one message to a step; answers what the outside has seen, in its order. */
async function delivered(t: Test, options: Options, seen: string[] = []) {
  const folder = await mkdtemp(join(tmpdir(), 'deliver-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const letters: Readonly<Record<string, string>>[] = []
  const events: StepEvent[] = []
  const metrics = createMetrics('test')
  const accept = async (what: string) => {
    // So that nothing is there just because nobody has waited.
    await new Promise(setImmediate)
    if (options.refuses?.includes(what)) throw new Error(`no ${what}`)
    seen.push(what)
  }
  const bus: Pick<Bus, 'publish'> = {
    async publish(topic, { attributes }) {
      if (topic === 'dead-letter') letters.push(attributes)
      await accept(topic)
      return 'id'
    },
  }
  const never = new AbortController().signal
  const deps: DeliverDeps = {
    bus: bus as Bus,
    events: {
      report(event) {
        events.push(event)
        return accept('event')
      },
    },
    assets: openStore(`file://${folder}/assets`),
    scratch: openStore(`file://${folder}/scratch`),
    ...{ log: createLog('deliver', 'silent'), metrics, stopping: never, aborting: never },
    breaker: { inDoubt: async () => false },
    ...options.deps,
  }
  const step: Step<Note> = {
    ...{ name: 'stage', input: Note },
    subject: ({ track }) => ({ track, job: 'j', run: 1, route: 'cloud' }),
    run: async () => DONE,
    fail: async () => FAILED,
    ...options.step,
  }
  const { attempt = 1, body = '{"track":"a"}' } = options
  const settlement = await delivering(
    step,
    deps,
  )({ id: '7', data: Buffer.from(body), attributes: {}, attempt, published: new Date() })
  const values = await scraped(metrics)
  const value = (name: string) => values.get(`trackchain_${name}`)
  return { settlement, seen, letters, event: events[0], events, value, deps }
}

const writes = (context: StepContext, name = 'out/1') =>
  context.write('assets', name as ObjectName, Buffer.from('xy'), 'text/plain')
const throws = (error: unknown) => async (): Promise<never> => {
  throw error
}
const fault = throws(new Error('the store is away'))
const permanent = throws(new PermanentError('RENDER_FAILED', 'never'))
const inDoubt = { inDoubt: async () => true }
const hangs = () => new Promise<never>(() => {})

t.test('write, then publish, then afterwards, then the event, then ack', async (t) => {
  const seen: string[] = []
  const slowly = (what: string) => async () => {
    await new Promise(setImmediate)
    seen.push(what)
  }
  const { settlement, event, events, value } = await delivered(
    t,
    {
      step: {
        async run(_, context) {
          await writes(context)
          await writes(context)
          seen.push('run')
          return { ...DONE, afterwards: [slowly('1'), slowly('2')], units: ['bpm@1'] }
        },
      },
    },
    seen,
  )
  t.equal(settlement, 'ack')
  t.strictSame(seen, ['run', 'next', '1', '2', 'event'])
  t.equal(events.length, 1)
  t.match(event, { verdict: 'done', units: ['bpm@1'], step: 'stage', attempt: 1 })
  t.match(event, { track: 'a', job: 'j', run: 1, route: 'cloud', code: undefined })
  t.match(event, { storeOperations: 2 })
  t.equal(value('objects_created_total{store="assets"}'), 1, 'what was there is not made again')
  t.equal(value('steps_running{step="stage"}'), 0)
  t.equal(value('requeued_total{step="stage"}'), 0)
})

t.test('what follows is not done while something that goes before it fails', async (t) => {
  const seen: string[] = []
  const mark = async () => seen.push('marked')
  const run = async () => ({ ...DONE, afterwards: [mark] })
  const unsent = await delivered(t, { step: { run }, refuses: ['next'] }, seen)
  t.equal(unsent.settlement, 'nack')
  t.strictSame(seen, ['event'], 'no marker says that it was sent')
  t.match(unsent.event, { verdict: 'again', sentence: 'no next' })
  t.equal(unsent.value('requeued_total{step="stage"}'), 1)
})

t.test(
  'a step whose event can not be published is given back, whatever its verdict',
  async (t) => {
    for (const run of [async () => DONE, permanent]) {
      const { settlement, value } = await delivered(t, { step: { run }, refuses: ['event'] })
      t.equal(settlement, 'nack')
      t.equal(value('requeued_total{step="stage"}'), 1)
    }
    const broken = await delivered(t, { body: '{}', refuses: ['event'] })
    t.equal(broken.settlement, 'nack')
  },
)

t.test('tidying up that fails is repeated, and never a verdict that contradicts', async (t) => {
  for (const error of [
    new Error('no marker'),
    new PermanentError('RENDER_FAILED', 'no'),
    new RestartError('SCRATCH_MISSING', 'gone'),
  ]) {
    const run = async () => ({ ...DONE, afterwards: [throws(error)] })
    const restart = async () => to('ingest', 'restarted')
    const result = await delivered(t, { step: { run, restart }, attempt: MOST_ATTEMPTS })
    t.equal(result.settlement, 'nack')
    t.strictSame(result.seen, ['next', 'event'], `${error}`)
    t.match(result.event, { verdict: 'again', sentence: error.message })
  }
})

t.test(
  'what breaks its contract is a dead letter with its reason; the rest waits',
  async (t) => {
    const result = await delivered(t, { body: '{"track":7}' })
    t.equal(result.settlement, 'ack')
    t.strictSame(result.seen, ['dead-letter', 'event'])
    t.match(result.letters, [{ dead_letter_step: 'stage', dead_letter_code: 'NOT_A_MESSAGE' }])
    t.match(result.event, { verdict: 'dead-lettered', code: 'NOT_A_MESSAGE', units: [] })
    const unsent = await delivered(t, { body: '{"track":7}', refuses: ['dead-letter'] })
    t.equal(unsent.settlement, 'nack', 'a letter that nobody has got is no letter')
  },
)

t.test('what fails for good is told by the step itself, or is a dead letter', async (t) => {
  const told = await delivered(t, { step: { run: permanent } })
  t.equal(told.settlement, 'ack')
  t.strictSame(told.seen, ['failed', 'event'])
  t.match(told.event, { verdict: 'failed' })
  const { seen, letters, settlement } = await delivered(t, {
    step: { run: permanent, fail: undefined as never },
  })
  t.equal(settlement, 'ack')
  t.strictSame(seen, ['dead-letter', 'event'])
  t.match(letters, [{ dead_letter_code: 'RENDER_FAILED', dead_letter_reason: 'never' }])
  // Telling may fail, too. What is owed then is the step's own verdict, and no letter with half of it.
  for (const fail of [fault, permanent]) {
    const unsaid = await delivered(t, { step: { run: permanent, fail } })
    t.equal(unsaid.settlement, 'nack')
    t.strictSame(unsaid.seen, ['event'])
  }
})

t.test('a tool that fails is tried 20 times, and then it is a verdict', async (t) => {
  t.equal(MOST_ATTEMPTS, 20, 'as the documents say')
  const early = await delivered(t, { step: { run: fault }, attempt: MOST_ATTEMPTS - 1 })
  t.equal(early.settlement, 'nack')
  t.strictSame(early.seen, ['event'])
  t.match(early.event, { verdict: 'again', attempt: 19, sentence: 'the store is away' })
  const verdicts: PermanentError[] = []
  const fail = async (_: Note, error: PermanentError) => {
    verdicts.push(error)
    return FAILED
  }
  const last = await delivered(t, { step: { run: fault, fail }, attempt: MOST_ATTEMPTS })
  t.equal(last.settlement, 'ack')
  t.match(verdicts, [{ code: 'GAVE_UP', message: '20 attempts; the last: the store is away' }])
  const nobody = { run: fault, fail: undefined as never }
  const endless = await delivered(t, { step: nobody, attempt: 500 })
  t.equal(endless.settlement, 'nack', 'a step without units to judge is never given up')
  t.strictSame(endless.letters, [])
})

t.test(
  'while an upstream is in doubt no failure counts, but what is certain does',
  async (t) => {
    const deps = { breaker: inDoubt }
    const away = await delivered(t, { step: { run: fault }, deps, attempt: 50 })
    t.equal(away.settlement, 'nack')
    t.strictSame(away.seen, ['event'])
    const certain = await delivered(t, { step: { run: permanent }, deps, attempt: 50 })
    t.strictSame(certain.seen, ['failed', 'event'])
    let stops = 0
    const stopped = async () => ++stops
    const slow = { step: { run: hangs, stopped }, deps: { ...deps, hardLimitMs: 5 } }
    t.equal((await delivered(t, slow)).settlement, 'nack')
    t.equal(stops, 0)
  },
)

t.test('who does not obey the hard limit is left behind and given back', async (t) => {
  const { settlement, event, seen } = await delivered(t, {
    ...{ step: { run: hangs }, deps: { hardLimitMs: 20 } },
  })
  t.equal(settlement, 'nack')
  t.strictSame(seen, ['event'])
  t.match(event, { verdict: 'again', sentence: 'stopped at the hard limit of 0.02 s' })
})

t.test(
  'stopped at the hard limit, a step that has made something is not over budget',
  async (t) => {
    let asked = 0
    const stopped = async () => {
      asked++
      return MOST_OVER_BUDGET
    }
    const run = async (_: Note, context: StepContext) => {
      await writes(context)
      return hangs()
    }
    const deps = { hardLimitMs: 300 }
    const slow = await delivered(t, { step: { run, stopped }, deps, attempt: MOST_ATTEMPTS })
    t.equal(slow.settlement, 'nack')
    t.strictSame(slow.seen, ['event'])
    t.equal(asked, 0)
  },
)

t.test('stopped five times before it had made anything, it is a verdict', async (t) => {
  t.equal(MOST_OVER_BUDGET, 5, 'as the documents say')
  for (const [stops, settlement] of [
    [4, 'nack'],
    [5, 'ack'],
  ] as const) {
    const verdicts: PermanentError[] = []
    const step: Partial<Step<Note>> = {
      run: hangs,
      // What follows must not be cut short by the limit that has caused it.
      async stopped(_, { signal }) {
        signal.throwIfAborted()
        return stops
      },
      async fail(_, error, context) {
        context.signal.throwIfAborted()
        await writes(context, 'tombstone')
        verdicts.push(error)
        return FAILED
      },
    }
    const result = await delivered(t, { step, deps: { hardLimitMs: 20 } })
    t.equal(result.settlement, settlement)
    t.equal(verdicts.length, stops === 5 ? 1 : 0)
    if (stops === 5) t.match(verdicts, [{ code: 'OVER_BUDGET', message: /5 times/ }])
  }
})

t.test('a fault within the limit is not counted as a stop', async (t) => {
  const seen: string[] = []
  const stopped = async () => seen.push('stopped')
  const early = await delivered(t, { step: { run: fault, stopped } }, seen)
  t.equal(early.settlement, 'nack')
  t.strictSame(seen, ['event'])
})

t.test('told to abort, a step gives back, whatever it has come to', async (t) => {
  for (const isReady of [true, false]) {
    const aborting = new AbortController()
    let fails = 0
    const run = async () => {
      await new Promise(setImmediate)
      aborting.abort(new Error('the grace period is over'))
      return isReady ? permanent() : hangs()
    }
    const fail = async () => {
      fails++
      return FAILED
    }
    const deps = { aborting: aborting.signal, hardLimitMs: 3000 }
    const result = await delivered(t, { step: { run, fail }, deps, attempt: MOST_ATTEMPTS })
    t.equal(result.settlement, 'nack')
    t.equal(fails, 0)
    t.match(result.event, { verdict: 'again', sentence: 'the grace period is over' })
  }
  let ran = 0
  const run = async () => {
    ran++
    return DONE
  }
  const aborting = AbortSignal.abort(new Error('over'))
  const late = await delivered(t, { step: { run }, deps: { aborting } })
  t.equal(late.settlement, 'nack')
  t.equal(ran, 0, 'nothing is begun')
})

t.test('told to stop, what waits to be admitted is given back', async (t) => {
  const stopping = AbortSignal.abort(new Error('stopping'))
  const seen: string[] = []
  const run = async () => {
    seen.push('run')
    return DONE
  }
  const result = await delivered(t, { step: { run }, deps: { stopping } }, seen)
  t.equal(result.settlement, 'nack')
  t.strictSame(seen, ['event'])
  t.match(result.event, { verdict: 'again', sentence: 'stopping', track: 'a' })
})

t.test(
  'who is admitted leaves again, however it ends, and waits outside its time',
  async (t) => {
    for (const run of [async () => DONE, fault, permanent]) {
      const seen: string[] = []
      const admit = async () => {
        seen.push('in')
        await new Promise((resolve) => setTimeout(resolve, 60))
        return () => {
          seen.push('out')
        }
      }
      const deps = { hardLimitMs: 30_000 }
      const { event } = await delivered(t, { step: { run, admit }, deps }, seen)
      t.equal(seen[0], 'in')
      t.equal(seen.filter((what) => what === 'out').length, 1)
      t.ok((event?.ms ?? 60) < 50, `${event?.ms} ms`)
    }
  },
)

t.test('what has to begin anew is said by the step', async (t) => {
  const run = throws(new RestartError('MASTER_CHANGED', 'other bytes'))
  const restart = async () => to('ingest', 'restarted')
  const result = await delivered(t, { step: { run, restart }, attempt: MOST_ATTEMPTS })
  t.equal(result.settlement, 'ack')
  t.strictSame(result.seen, ['ingest', 'event'])
  t.match(result.event, { verdict: 'restarted' })
  const unsent = await delivered(t, { step: { run, restart }, refuses: ['ingest'] })
  t.equal(unsent.settlement, 'nack')
})

t.test('an event is no longer than may be, and has what running has found out', async (t) => {
  const subject = { track: 'b', job: 'k', run: 2, route: 'onprem' }
  const run = async (): Promise<Next> => ({
    ...{ ...DONE, units: Array.from({ length: 300 }, (_, n) => `u${n}`), subject },
    ...{ code: 'NO_TRACK', sentence: 'x'.repeat(5000) },
  })
  const { event } = await delivered(t, { step: { run } })
  t.equal(event?.units.length, MOST_UNITS)
  t.equal(event?.sentence?.length, 2000)
  t.match(event, { ...subject, code: 'NO_TRACK' })
})

t.test('a delivery leaves no timer and no listener behind', async (t) => {
  const aborting = new AbortController()
  const timers = () =>
    process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
  const before = timers()
  await delivered(t, { deps: { aborting: aborting.signal } })
  t.equal(timers(), before)
  t.equal(getEventListeners(aborting.signal, 'abort').length, 0)
})
