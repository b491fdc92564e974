import { spawn } from 'node:child_process'
import { getEventListeners, once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Type } from 'typebox'
import type { Bus } from '#shared/bus/bus.ts'
import { PermanentError, RestartError } from '#shared/contracts/errors/chain.ts'
import { StoreError } from '#shared/contracts/errors/store.ts'
import { defineMessage } from '#shared/contracts/message.ts'
import { MAX_UNITS, type StepEvent } from '#shared/contracts/messages/event.ts'
import type { ObjectName } from '#shared/contracts/names.ts'
import { Cancellations } from '#shared/frame/cancellations.ts'
import { type Claim, OwnCores } from '#shared/frame/cores.ts'
import { type DeliverDeps, delivering, MAX_ATTEMPTS } from '#shared/frame/deliver.ts'
import { type Next, type Step, type StepContext, send } from '#shared/frame/step.ts'
import {
  MAX_IDLE_STOPS,
  MAX_STANDSTILLS,
  MAX_STOPS,
  type Stop,
  stopName,
} from '#shared/frame/stops.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { openStore } from '#shared/store/open.ts'
import { measured } from '#shared/underway/measured.ts'
import { blame } from '#shared/underway/underway.ts'
import { freeCore } from '../../support/free-core.ts'
import { timeLimit } from '../../support/patience.ts'
import { scraped } from '../../support/scraped.ts'

// The rules of DESIGN.md, chapter Delivery, one by one, over real stores.
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
    breaker: { isSuspect: async () => false },
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
const isSuspect = { isSuspect: async () => true }
const hangs = () => new Promise<never>(() => {})
const inFolder = () => 'of/step/'

/** The stops that are counted in a folder. */
async function stopsIn(scratch: StoreDriver, folder = inFolder()): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of scratch.list(folder)) names.push(name)
  return names.map((name) => name.slice(folder.length).replace(/-.*/, ''))
}

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
  t.match(event, { store_operations: 2 })
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
  t.match(unsent.event, { verdict: 'retry', sentence: 'no next' })
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
    const result = await delivered(t, { step: { run, restart }, attempt: MAX_ATTEMPTS })
    t.equal(result.settlement, 'nack')
    t.strictSame(result.seen, ['next', 'event'], `${error}`)
    t.match(result.event, { verdict: 'retry', sentence: error.message })
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

t.test('a permanent failure is handled by the step itself, or is a dead letter', async (t) => {
  const handled = await delivered(t, { step: { run: permanent } })
  t.equal(handled.settlement, 'ack')
  t.strictSame(handled.seen, ['failed', 'event'])
  t.match(handled.event, { verdict: 'failed' })
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
  t.equal(MAX_ATTEMPTS, 20, 'as the documents say')
  const early = await delivered(t, { step: { run: fault }, attempt: MAX_ATTEMPTS - 1 })
  t.equal(early.settlement, 'nack')
  t.strictSame(early.seen, ['event'])
  t.match(early.event, { verdict: 'retry', attempt: 19, sentence: 'the store is away' })
  const verdicts: PermanentError[] = []
  const fail = async (_: Note, error: PermanentError) => {
    verdicts.push(error)
    return FAILED
  }
  const last = await delivered(t, { step: { run: fault, fail }, attempt: MAX_ATTEMPTS })
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
    const deps = { breaker: isSuspect }
    const away = await delivered(t, { step: { run: fault }, deps, attempt: 50 })
    t.equal(away.settlement, 'nack')
    t.strictSame(away.seen, ['event'])
    const certain = await delivered(t, { step: { run: permanent }, deps, attempt: 50 })
    t.strictSame(certain.seen, ['failed', 'event'])
    const slow = { step: { run: hangs, stops: inFolder }, deps: { ...deps, hardLimitMs: 5 } }
    const stopped = await delivered(t, slow)
    t.equal(stopped.settlement, 'nack')
    t.strictSame(await stopsIn(stopped.deps.scratch), [])
  },
)

t.test('a step that ignores the hard limit is abandoned and given back', async (t) => {
  const { settlement, event, seen } = await delivered(t, {
    ...{ step: { run: hangs }, deps: { hardLimitMs: 20 } },
  })
  t.equal(settlement, 'nack')
  t.strictSame(seen, ['event'])
  t.match(event, { verdict: 'retry', sentence: 'stopped at the hard limit of 0.02 s' })
})

t.test('a stop is counted for the step, unless it has made something', async (t) => {
  for (const made of [true, false]) {
    const run = async (_: Note, context: StepContext) => {
      if (made) await writes(context)
      return hangs()
    }
    const options = { step: { run, stops: inFolder }, deps: { hardLimitMs: 300 } }
    const slow = await delivered(t, { ...options, attempt: MAX_ATTEMPTS })
    t.equal(slow.settlement, 'nack')
    t.strictSame(slow.seen, ['event'])
    t.strictSame(await stopsIn(slow.deps.scratch), made ? [] : ['idle'])
  }
})

t.test('what computes past the limit is over it; what was kept from it never is', async (t) => {
  let spent = 0
  const computes = async (_: Note, { signal, spentMs }: StepContext): Promise<never> => {
    while (!signal.aborted) {
      spent = spentMs()
      for (const until = performance.now() + 20; performance.now() < until; );
      await new Promise(setImmediate)
    }
    throw signal.reason
  }
  const step = (run: Step<Note>['run']) => ({ run, stops: inFolder })
  const over = await delivered(t, { step: step(computes), deps: { hardLimitMs: 300 } })
  t.match(over.event, { verdict: 'retry', sentence: 'stopped at the hard limit of 0.3 s' })
  t.strictSame(await stopsIn(over.deps.scratch), ['over'])
  t.ok(spent > 200, `${spent} ms`)
  async function fail(_: Note, __: PermanentError, context: StepContext): Promise<Next> {
    context.signal.throwIfAborted()
    await writes(context)
    return FAILED
  }
  const firstStop = { ...step(computes), isStoppedOnce: true, fail }
  const failed = await delivered(t, { step: firstStop, deps: { hardLimitMs: 300 } })
  t.equal(
    failed.settlement,
    'ack',
    'where one stop does, it is a verdict, with time to write it',
  )
  t.strictSame(failed.seen, ['failed', 'event'])

  // Kept by something that nobody watches, a program computes for some 4 % of its time: more than the 2 % of standing
  // still, less than the fifth that would be over the limit. It counts its own core time, so that it is
  // so on any machine.
  const SELDOM = `const { readFileSync } = require('node:fs')
    const ms = () => parseInt(readFileSync('/proc/self/schedstat')) / 1e6
    setInterval(() => { for (const until = ms() + 3; ms() < until; ); }, 95)`
  const waits = async (_: Note, { signal }: StepContext): Promise<never> => {
    const child = spawn(process.execPath, ['-e', SELDOM])
    measured(child)
    signal.addEventListener('abort', () => child.kill(), { once: true })
    await once(child, 'exit')
    throw signal.reason
  }
  const kept = await delivered(t, { step: step(waits), deps: { hardLimitMs: 1500 } })
  t.equal(kept.settlement, 'nack')
  t.match(kept.event, {
    verdict: 'retry',
    code: 'STARVED',
    sentence: /had a core for [012]\.\d s/,
  })
  t.ok((kept.event?.ms ?? 0) > 3000, `it may go on: ${kept.event?.ms} ms`)
  t.strictSame(await stopsIn(kept.deps.scratch), [])
})

t.test('a stop is counted for the unit that was being made, if it had the time', async (t) => {
  for (const beforeMs of [0, 900]) {
    const run = async (_: Note, context: StepContext) => {
      await writes(context)
      await new Promise((resolve) => setTimeout(resolve, beforeMs))
      return context.asUnit({ what: 'a unit', stops: 'of/unit/' }, hangs)
    }
    const options = { step: { run, stops: inFolder }, deps: { hardLimitMs: 1000 } }
    const slow = await delivered(t, options)
    t.equal(slow.settlement, 'nack')
    t.strictSame(await stopsIn(slow.deps.scratch), [])
    t.strictSame(await stopsIn(slow.deps.scratch, 'of/unit/'), beforeMs === 0 ? ['idle'] : [])
  }
})

t.test('stopped often enough, it is a verdict before it is begun again', async (t) => {
  t.same([MAX_STOPS, MAX_IDLE_STOPS, MAX_STANDSTILLS], [3, 2, 2], 'as the documents say')
  const stoppedCode = 'MASTER_OVER_BUDGET'
  for (const [stop, stops, settlement, code = 'OVER_BUDGET', more = {}] of [
    ['over', 2, 'nack'],
    ['over', 3, 'ack'],
    ['idle', 1, 'nack'],
    ['idle', 2, 'ack', 'STANDS_STILL'],
    ['still', 1, 'nack'],
    ['still', 2, 'ack'],
    ['held', 1, 'ack'],
    ['over', 3, 'ack', stoppedCode, { stoppedCode }],
    ['idle', 2, 'ack', stoppedCode, { stoppedCode }],
  ] as const satisfies readonly (readonly [Stop, number, string, string?, object?])[]) {
    const verdicts: PermanentError[] = []
    let begun = 0
    const step: Partial<Step<Note>> = {
      ...more,
      stops: inFolder,
      run: async () => {
        begun++
        return hangs()
      },
      async fail(_, error, context) {
        context.signal.throwIfAborted()
        await writes(context, 'tombstone')
        verdicts.push(error)
        return FAILED
      },
    }
    const scratch = openStore(`file://${t.testdir()}`)
    for (let n = 0; n < stops; n++) {
      const name = stopName(inFolder(), stop)
      await scratch.create(name, new Uint8Array(), { contentType: 'text/plain' })
    }
    const deps = { scratch, hardLimitMs: 300 }
    const result = await delivered(t, { step, deps, attempt: 2 })
    t.equal(result.settlement, settlement, `${stops} × ${stop}`)
    t.equal(begun, settlement === 'ack' ? 0 : 1)
    t.match(
      verdicts.map(({ code, message }) => [code, message]),
      settlement === 'ack'
        ? [[code, stop === 'held' ? /at each look/ : new RegExp(`${stops} times`)]]
        : [],
    )
  }
})

t.test('what a step waits for a store is not its own time', async (t) => {
  const deps = { hardLimitMs: 150 }
  const slowly = openStore(`file://${t.testdir()}`)
  const scratch = {
    ...slowly,
    stat: async () => {
      await new Promise((resolve) => setTimeout(resolve, 500))
      return undefined
    },
  }
  const run = async (_: Note, context: StepContext) => {
    await context.scratch.stat('a' as ObjectName)
    return DONE
  }
  const late = await delivered(t, { step: { run }, deps: { ...deps, scratch } })
  t.equal(late.settlement, 'ack')
  t.match(late.event, {
    verdict: 'done',
    code: 'SLOW_UPSTREAM',
    sentence: /waited .* for stores/,
  })
})

t.test('an error that nothing catches is the fault of the step', async (t) => {
  const throwing = async () => {
    setImmediate(() => blame(new Error('thrown by a timer')))
    return hangs()
  }
  const asStep = await delivered(t, { step: { run: throwing } })
  t.match(asStep.event, { verdict: 'retry', sentence: 'thrown by a timer' })
})

t.test('a fault within the limit is not counted as a stop', async (t) => {
  const early = await delivered(t, { step: { run: fault, stops: inFolder } })
  t.equal(early.settlement, 'nack')
  t.strictSame(await stopsIn(early.deps.scratch), [])
})

t.test('a step is given back on abort, however far it is', async (t) => {
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
    const result = await delivered(t, { step: { run, fail }, deps, attempt: MAX_ATTEMPTS })
    t.equal(result.settlement, 'nack')
    t.equal(fails, 0)
    t.match(result.event, { verdict: 'retry', sentence: 'the grace period is over' })
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

t.test('on stop, a delivery that has not begun is given back', async (t) => {
  const stopping = AbortSignal.abort(new Error('stopping'))
  const seen: string[] = []
  const run = async () => {
    seen.push('run')
    return DONE
  }
  const result = await delivered(t, { step: { run }, deps: { stopping } }, seen)
  t.equal(result.settlement, 'nack')
  t.strictSame(seen, ['event'])
  t.match(result.event, { verdict: 'retry', sentence: 'stopping', track: 'a' })
})

t.test(
  'a core is given back however the work ends, and the wait for it is not the step’s time',
  async (t) => {
    for (const end of [
      async () => DONE,
      fault,
      permanent,
      () => new Promise<never>(() => {}),
    ]) {
      const seen: string[] = []
      const take = async (_: AbortSignal, { isBegun = false }: Claim = {}) => {
        seen.push(isBegun ? 'in again' : 'in')
        await new Promise((resolve) => setTimeout(resolve, 300))
        return () => {
          seen.push('out')
        }
      }
      const run = async (_: Note, context: StepContext) => {
        await context.onCore(async () => seen.push('computes'))
        return context.onCore(end)
      }
      const deps = { hardLimitMs: 200, cores: { take } }
      const { event } = await delivered(t, { step: { run }, deps }, seen)
      t.strictSame(seen.slice(0, 5), ['in', 'computes', 'out', 'in again', 'out'])
      t.equal(seen.filter((what) => what === 'out').length, 2)
      t.ok((event?.ms ?? 600) < 600, `${event?.ms} ms`)
    }
  },
)

t.test(
  'on stop, a step that waits for its first core is given back; one that had one goes on',
  async (t) => {
    const stopping = new AbortController()
    const run = async (_: Note, context: StepContext) => {
      stopping.abort(new Error('stopping'))
      await context.onCore(async () => {})
      return DONE
    }
    const cores = new OwnCores(1)
    const deps = { stopping: stopping.signal, cores }
    const first = await delivered(t, { step: { run }, deps, attempt: MAX_ATTEMPTS })
    t.equal(first.settlement, 'nack')
    t.match(first.event, { verdict: 'retry', sentence: 'stopping' })
    const next = new AbortController()
    const second = await delivered(t, {
      step: {
        async run(_, context) {
          await context.onCore(async () => {})
          next.abort(new Error('stopping'))
          await context.onCore(async () => {})
          return DONE
        },
      },
      deps: { stopping: next.signal, cores },
      attempt: MAX_ATTEMPTS,
    })
    t.equal(second.settlement, 'ack')
  },
)

t.test(
  'a step that waits too long for its first core goes behind the others, at whatever attempt',
  async (t) => {
    const cores = new OwnCores(1)
    const leave = await cores.take(timeLimit(60_000))
    const run = async (_: Note, context: StepContext) => {
      await context.onCore(async () => {})
      return context.onCore(async () => DONE)
    }
    const fail = async () => to('publish', 'failed')
    const patience = { topic: 'its-own', ms: 20 }
    const deps = { cores, patience, claim: { lane: 'backfill' } as const }
    const behind = await delivered(t, { step: { run, fail }, deps, attempt: MAX_ATTEMPTS })
    t.equal(behind.settlement, 'ack')
    t.strictSame(behind.seen, ['its-own', 'event'], 'sent again, and no verdict')
    t.match(behind.event, { verdict: 'retry', code: 'STARVED' })

    const unsent = await delivered(t, { step: { run }, deps, refuses: ['its-own'] })
    t.equal(unsent.settlement, 'nack', 'what could not be sent is given back')

    leave()
    const first = await delivered(t, { step: { run }, deps })
    t.match(first.event, { verdict: 'done' }, 'a core that is free is taken')
  },
)

t.test('an urgent step keeps its core until its end, others while they compute', async (t) => {
  const cores = new OwnCores(1)
  const isFree = async () => {
    const leave = await freeCore(cores, { lane: 'urgent' })
    leave?.()
    return leave !== undefined
  }
  const between: boolean[] = []
  const run = async (_: Note, context: StepContext) => {
    await context.onCore(async () => {})
    between.push(await isFree())
    return context.onCore(async () => DONE)
  }
  for (const lane of ['new', 'urgent'] as const) {
    const { event } = await delivered(t, { step: { run }, deps: { cores, claim: { lane } } })
    t.match(event, { verdict: 'done' })
    t.ok(await isFree(), 'given back at the end')
  }
  t.strictSame(between, [true, false])
})

t.test('what has to begin anew is said by the step', async (t) => {
  const run = throws(new RestartError('MASTER_CHANGED', 'other bytes'))
  const restart = async () => to('ingest', 'restarted')
  const result = await delivered(t, { step: { run, restart }, attempt: MAX_ATTEMPTS })
  t.equal(result.settlement, 'ack')
  t.strictSame(result.seen, ['ingest', 'event'])
  t.match(result.event, { verdict: 'restarted' })
  const unsent = await delivered(t, { step: { run, restart }, refuses: ['ingest'] })
  t.equal(unsent.settlement, 'nack')
})

t.test('what a store says is a verdict where no retry would mend it', async (t) => {
  const codes: string[] = []
  const fail = async (_: unknown, { code }: PermanentError) => {
    codes.push(code)
    return to('publish', 'failed')
  }
  const restart = async () => to('ingest', 'restarted')
  const outcome = async (code: StoreError['code']) => {
    const run = throws(new StoreError(code, 'so'))
    return (await delivered(t, { step: { run, fail, restart } })).event?.verdict
  }
  t.equal(await outcome('other-bytes'), 'failed')
  t.same(codes, ['OTHER_BYTES'])
  t.equal(await outcome('changed'), 'restarted')
  t.equal(await outcome('throttled'), 'retry')
})

t.test('an event is no longer than may be, and has what running has found out', async (t) => {
  const subject = { track: 'b', job: 'k', run: 2, route: 'onprem' }
  const run = async (): Promise<Next> => ({
    ...{ ...DONE, units: Array.from({ length: 300 }, (_, n) => `u${n}`), subject },
    ...{ code: 'NO_TRACK', sentence: 'x'.repeat(5000) },
  })
  const { event } = await delivered(t, { step: { run } })
  t.equal(event?.units.length, MAX_UNITS)
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

const RUN = {
  ...{ job: 'b'.repeat(24), run: 2, route: 'cloud', accepted: '2026-03-01T10:00:00.000Z' },
  request: { request_id: 'r', asset_guid: 'a', derivative_assets: ['bpm'] },
}
const CANCELLED = { number: 1, kind: 'request', id: 'r', before: RUN.accepted }
const scratchOfRun = `cloud/${RUN.job}/2/`
const namesIn = async (scratch: StoreDriver) => {
  const names: string[] = []
  for await (const { name } of scratch.list('cloud/')) names.push(name)
  return names
}

/** A step that writes to the scratch of its run, and of another, before it does something. */
function leaving(act: (context: StepContext) => Promise<Next>): Partial<Step<Note>> {
  return {
    cancellable: () => RUN,
    async run(_, context) {
      for (const name of [`${scratchOfRun}plan/wav/0`, 'cloud/other/2/plan/wav/0'])
        await context.write('scratch', name as ObjectName, Buffer.from('xy'), 'text/plain')
      return act(context)
    },
  }
}

t.test('the step of a cancelled run is not begun', async (t) => {
  const cancellations = new Cancellations()
  cancellations.add([CANCELLED])
  let begun = 0
  const step = leaving(async () => {
    begun++
    return DONE
  })
  const { settlement, seen, event } = await delivered(t, { step, deps: { cancellations } })
  t.match({ settlement, seen, begun }, { settlement: 'ack', seen: ['event'], begun: 0 })
  t.match(event, { verdict: 'cancelled', code: 'CANCELLED', job: 'j' })
  const other = {
    ...step,
    cancellable: () => ({ ...RUN, accepted: '2026-03-01T10:00:00.001Z' }),
  }
  await delivered(t, { step: other, deps: { cancellations } })
  t.equal(begun, 1, 'one that was accepted later is')
  await delivered(t, {
    step: { run: step.run } as Partial<Step<Note>>,
    deps: { cancellations },
  })
  t.equal(begun, 2, 'and one that runs whatever was cancelled')
})

t.test('a running step is aborted: nothing follows, and its scratch is cleared', async (t) => {
  const cancellations = new Cancellations()
  let isAborted = false
  const step = leaving(async ({ signal, write, finished }) => {
    finished('bpm@1')
    setImmediate(() => cancellations.add([CANCELLED]))
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    isAborted = true
    // As of a writer that had already begun when the step was aborted.
    await new Promise((resolve) => setTimeout(resolve, 50))
    const late = `${scratchOfRun}plan/wav/1` as ObjectName
    await write('scratch', late, Buffer.from('z'), 'text/plain').catch(() => {})
    return DONE
  })
  const { settlement, seen, event, deps, value } = await delivered(t, {
    ...{ step, deps: { cancellations } },
  })
  t.match(
    { settlement, seen, isAborted },
    { settlement: 'ack', seen: ['event'], isAborted: true },
  )
  t.match(event, { verdict: 'cancelled', units: ['bpm@1'] })
  t.same(await namesIn(deps.scratch), ['cloud/other/2/plan/wav/0'])
  t.equal(value('collected_total{step="stage"}'), 1)
})

t.test('a step that is done as it is cancelled sends nothing on', async (t) => {
  const cancellations = new Cancellations()
  const step = leaving(async () => {
    cancellations.add([CANCELLED])
    return DONE
  })
  const { seen } = await delivered(t, { step, deps: { cancellations } })
  t.same(seen, ['event'])
})

t.test('work that waits for a core does not begin when it is cancelled', async (t) => {
  const cancellations = new Cancellations()
  const cores = new OwnCores(1)
  const giveBack = await cores.take(new AbortController().signal)
  let begun = 0
  const step = leaving(({ onCore }) => {
    setImmediate(() => cancellations.add([CANCELLED]))
    return onCore(async () => {
      begun++
      return DONE
    })
  })
  const { settlement, event } = await delivered(t, { step, deps: { cancellations, cores } })
  t.match({ settlement, begun }, { settlement: 'ack', begun: 0 })
  t.match(event, { verdict: 'cancelled' })
  giveBack()
  t.ok(await freeCore(cores), 'and leaves the core to others')
})

t.test('what a step has begun elsewhere ends before scratch is cleared', async (t) => {
  const cancellations = new Cancellations()
  cancellations.add([CANCELLED])
  let calls = 0
  const step: Partial<Step<Note>> = {
    cancellable: () => RUN,
    async cancelled() {
      if (++calls === 1) throw new Error('the cluster is away')
    },
  }
  const options = { step, deps: { cancellations } }
  t.match(await delivered(t, options), { settlement: 'nack', event: { verdict: 'retry' } })
  t.match(await delivered(t, options), { settlement: 'ack', event: { verdict: 'cancelled' } })
})
