import { mutantsOf } from '../mutant.ts'

const deliver = ['test/shared/frame/deliver.test.ts']

export default [
  ...mutantsOf('shared/frame/deliver.ts', deliver, [
    {
      breaks: 'an event that can not be published is acked',
      from: "'the event could not be published')\n    return 'nack'",
      to: "'the event could not be published')\n    return outcome.settlement",
    },
    {
      breaks: 'the ack does not wait for the event',
      from: 'await events.report(event)',
      to: 'void events.report(event).catch(() => {})',
    },
    {
      breaks: 'a process that stops begins what was waiting',
      from: '      deps.stopping.throwIfAborted()\n',
      to: '',
    },
    {
      breaks: 'the gauge of running steps only rises',
      from: 'metrics.running.add(-1, labels)',
      to: '',
    },
    {
      breaks: 'what is given back is not counted',
      from: "if (settlement === 'nack') metrics.requeued.add(1, labels)",
      to: '',
    },
    {
      breaks: 'an event with too many units is refused by its own contract',
      from: '.slice(0, MAX_UNITS)',
      to: '',
    },
    {
      breaks: 'a sentence of a megabyte travels in every event',
      from: '.slice(0, 2000)',
      to: '',
    },
  ]),
  ...mutantsOf('shared/frame/run-step.ts', deliver, [
    {
      breaks: 'a core is never given back',
      from: '        held.delete(giveBack)\n        giveBack()\n',
      to: '',
    },
    {
      breaks: 'a step that is abandoned keeps its core',
      from: 'for (const giveBack of held) giveBack()',
      to: '',
    },
    {
      breaks: 'the wait for a core counts as work',
      from: 'await own.away(() => cores.take(until, { ...deps.claim, isBegun }))',
      to: 'await cores.take(until, { ...deps.claim, isBegun })',
    },
    {
      breaks: 'what is begun waits behind what is not',
      from: 'cores.take(until, { ...deps.claim, isBegun })',
      to: 'cores.take(until)',
    },
    {
      breaks: 'a process that stops waits for a core for new work',
      from: 'isBegun ? signal : AbortSignal.any([signal, stopping, late])',
      to: 'isBegun ? signal : AbortSignal.any([signal, late])',
    },
    {
      breaks: 'a stop of the process is a verdict at the last attempt',
      from: 'deps.stopping.aborted && error === deps.stopping.reason',
      to: 'false',
    },
    {
      breaks: 'a failing afterwards gives a second, contradictory verdict',
      from: 'isGivenBack || error instanceof AfterwardsError',
      to: 'isGivenBack',
    },
    {
      breaks: 'what fails while the process is aborted is a verdict',
      from: 'deps.aborting.aborted || isGivenBack ||',
      to: 'isGivenBack ||',
    },
    {
      breaks: 'an aborted process begins a step all the same',
      from: '    stop.signal.throwIfAborted()\n    const work',
      to: '    const work',
    },
    {
      breaks: 'SIGTERM never aborts the step under way',
      from: 'const release = abortWith(deps.aborting, stop)',
      to: 'const release = () => {}',
    },
    {
      breaks: 'markers are left before what they tell of has been sent',
      from: 'async function follow(next: Next, deps: DeliverDeps): Promise<Outcome> {\n',
      to: 'async function follow(next: Next, deps: DeliverDeps): Promise<Outcome> {\n  for (const act of next.afterwards ?? []) await act()\n',
    },
    {
      breaks: 'what follows is acked before it is published',
      from: '  await Promise.all(\n    next.sends.map(',
      to: '  void Promise.all(\n    next.sends.map(',
    },
    {
      breaks: 'nothing is done afterwards: no marker, no clean-up, no mark of announcement',
      from: 'for (const act of next.afterwards ?? []) await act()',
      to: '',
    },
    {
      breaks: 'what is done afterwards is not waited for',
      from: 'for (const act of next.afterwards ?? []) await act()',
      to: 'for (const act of next.afterwards ?? []) void act()',
    },
    {
      breaks: 'a passing fault is tried one time less',
      from: 'export const MAX_ATTEMPTS = 20',
      to: 'export const MAX_ATTEMPTS = 19',
    },
    {
      breaks: 'a passing fault is tried twice as often',
      from: 'export const MAX_ATTEMPTS = 20',
      to: 'export const MAX_ATTEMPTS = 40',
    },
    {
      breaks: 'the last attempt does not count',
      from: 'attempt < MAX_ATTEMPTS',
      to: 'attempt <= MAX_ATTEMPTS',
    },
    {
      breaks: 'an upstream that is away makes dead letters',
      from: '(await deps.breaker.isSuspect())',
      to: 'false',
    },
    {
      breaks: 'what is certain is put off because an upstream is in doubt',
      from: 'error !== verdict && mayCount',
      to: 'mayCount',
    },
    {
      breaks: 'who ignores the hard limit holds its place for ever',
      from: 'orAbort(working, stop.signal)',
      to: 'working',
    },
    {
      breaks: 'a crowded machine is a verdict, though the step gets on',
      from: '(made === 0 ? stops : undefined)',
      to: 'stops',
    },
    {
      breaks: 'what was there already counts as made',
      from: "if (created === 'created') {",
      to: '{',
    },
    {
      breaks: 'a unit is blamed for the time of those before it',
      from: 'own.since(unitBegan)',
      to: 'own.since(began)',
    },
    {
      breaks: 'a stop of unknown cause counts',
      from: "stopped === 'over' || stopped === 'idle'",
      to: "stopped !== 'longest'",
    },
    {
      breaks: 'a step that was stopped too often is begun again',
      from: 'if (verdict !== undefined) throw verdict',
      to: '',
    },
    {
      breaks: 'scratch is cleared while an aborted step still writes',
      from: 'await settled(working)',
      to: '',
    },
    {
      breaks: 'scratch of a cancelled run stays',
      from: 'await clearRun(run, unhurried)',
      to: '',
    },
    {
      breaks: 'an error that nothing catches leaves its step hanging',
      from: 'orFault(orAbort(working, stop.signal))',
      to: 'orAbort(working, stop.signal)',
    },
    {
      breaks: 'stops are counted within the limit that has just run out',
      from: 'await unhurried.write(',
      to: 'await context.write(',
    },
    {
      breaks: 'the verdict is written within the limit that has just run out',
      from: 'await step.fail(message, verdict, unhurried)',
      to: 'await step.fail(message, verdict, context)',
    },
    {
      breaks: 'a run whose master has changed is a passing fault',
      from: 'error instanceof RestartError && step.restart !== undefined',
      to: 'false',
    },
    {
      breaks: 'a fault in telling a verdict escapes: the delivery is never settled',
      from: '    } catch (second) {\n      return given(second)\n    }\n  } finally {',
      to: '    } catch (second) {\n      throw second\n    }\n  } finally {',
    },
    {
      breaks: 'a fault that passes is set aside as a dead letter',
      from: 'if (!(error instanceof PermanentError)) return giveBack(error)\n  try {\n    await bus.publish(DEAD_LETTER_TOPIC',
      to: 'if (!(error instanceof Error)) return giveBack(error)\n  try {\n    await bus.publish(DEAD_LETTER_TOPIC',
    },
    {
      breaks: 'a step that judges nothing is given up',
      from: 'return isPermanent ? await setAside(step.name, delivery, error, deps) : given(error)',
      to: 'return await setAside(step.name, delivery, verdict, deps)',
    },
    {
      breaks: 'a listener stays for every delivery',
      from: 'giveBack()\n    release()',
      to: 'giveBack()',
    },
    {
      breaks: 'a timer stays for every delivery',
      from: '    clear()\n    unwatch',
      to: '    unwatch',
    },
  ]),
  ...mutantsOf('shared/frame/stops.ts', deliver, [
    {
      breaks: 'a step is over budget one stop too early',
      from: 'export const MAX_STOPS = 3',
      to: 'export const MAX_STOPS = 2',
    },
    {
      breaks: 'the third stop does not count',
      from: 'stopped < (isIdle ? MAX_IDLE_STOPS : MAX_STOPS)',
      to: 'stopped <= (isIdle ? MAX_IDLE_STOPS : MAX_STOPS)',
    },
    {
      breaks: 'the second standstill does not count',
      from: 'still >= MAX_STANDSTILLS',
      to: 'still > MAX_STANDSTILLS',
    },
    {
      breaks: 'what was found in the code of a unit at each look is no evidence',
      from: 'if (held > 0)',
      to: 'if (held > 1)',
    },
  ]),
  ...mutantsOf('shared/underway/hard-limit.ts', deliver, [
    {
      breaks: 'what hardly had a core is over its limit',
      from: 'if (coreMs >= CORE_SHARE * limitMs)',
      to: 'if (coreMs >= 0)',
    },
    {
      breaks: 'what is kept waiting stands still',
      from: 'helpersMs < IDLE.helpers * ownMs',
      to: 'helpersMs < ownMs',
    },
  ]),
  ...mutantsOf('shared/underway/own-time.ts', deliver, [
    {
      breaks: 'what a step waits for a store is its own time',
      from: 'wallMs - storeMs - starvedMs',
      to: 'wallMs - starvedMs',
    },
  ]),
]
