import { mutantsOf } from '../mutant.ts'

const lifecycle = ['test/shared/frame/lifecycle.test.ts']
const breaker = ['test/shared/frame/breaker.test.ts']

export default [
  ...mutantsOf('shared/frame/lifecycle.ts', lifecycle, [
    {
      breaks: 'SIGTERM never aborts what runs longer than the drain',
      from: "aborting.abort(new Error('the grace period is over'))",
      to: 'undefined',
    },
    {
      breaks: 'SIGTERM aborts at once: nothing is finished',
      from: 'const DRAIN_MS = 9_000',
      to: 'const DRAIN_MS = 0',
    },
    {
      breaks: 'a process that does not close lives for ever',
      from: "      log.error('did not close in time')\n      end(1)\n",
      to: '',
    },
    {
      breaks: 'the exit comes after the node has gone',
      from: 'export const EXIT_MS = 13_000',
      to: 'export const EXIT_MS = 16_000',
    },
    {
      breaks: 'what was opened first is closed first',
      from: 'of closers.reverse()',
      to: 'of closers',
    },
    {
      breaks: 'what is closed is not waited for',
      from: 'await close().catch(',
      to: 'close().catch(',
    },
    {
      breaks: 'one that fails to close leaves the others open',
      from: 'await close().catch((error) => log',
      to: 'await close().then((error) => log',
    },
    {
      breaks: 'nothing learns that the process was asked to stop',
      from: 'stopping.abort(new Error(`stopping: $',
      to: 'void (new Error(`stopping: $',
    },
    {
      breaks: 'a second signal is ignored',
      from: 'if (stopping.signal.aborted) end(code || 1)',
      to: 'if (stopping.signal.aborted) return',
      tests: ['test/chain/faults/sigterm.test.ts'],
    },
    {
      breaks: 'SIGINT is ignored',
      from: "of ['SIGTERM', 'SIGINT'] as const",
      to: "of ['SIGTERM', 'SIGHUP'] as const",
    },
    {
      breaks: 'who has lost its parent stays',
      from: "if (process.connected) process.on('disconnect'",
      to: "if (false) process.on('disconnect'",
    },
    {
      breaks: 'a fault ends with 0: the process is not started again',
      from: '    code = 1\n',
      to: '',
    },
    {
      breaks: 'a rejection that nothing has caught is ignored',
      from: "process.on('unhandledRejection', (error) => fault(error, 'unhandledRejection'))",
      to: "process.on('unhandledRejection', () => {})",
    },
    {
      breaks: 'who has done its work says so with 0, whatever it was',
      from: '        code = given\n',
      to: '',
    },
    {
      breaks: 'who leaves twice ends at once, without closing',
      from: 'if (!stopping.signal.aborted) void stop(reason)',
      to: 'void stop(reason)',
    },
    {
      breaks: 'a file operation that never ends keeps the process',
      from: "if (hasOpenFiles()) kill(process.pid, 'SIGKILL')",
      to: '',
    },
  ]),
  ...mutantsOf('shared/frame/upstreams/breaker.ts', breaker, [
    {
      breaks: 'a subscriber made while an upstream is down pulls',
      from: 'if (this.reason !== undefined) subscriber.pause()',
      to: '',
    },
    {
      breaks: 'nothing is paused while an upstream is down',
      from: 'if (isDown) subscriber.pause()',
      to: 'if (isDown) continue',
    },
    {
      breaks: 'nothing is resumed once it is up again',
      from: 'else subscriber.resume()',
      to: '',
    },
    {
      breaks: 'a process that goes takes up work again',
      from: 'if (this.#options.stopping.aborted) return',
      to: '',
    },
    {
      breaks: 'what never answers has never failed',
      from: 'orLate(act(), limitMs, () => silence(this.#name, limitMs))',
      to: 'act()',
    },
    {
      breaks: 'what hung until its caller gave up is no fault',
      from: 'performance.now() - began < limitMs / 2',
      to: 'true',
    },
    {
      breaks: 'what was cut short at once is a fault',
      from: 'const wasCut = signal?.aborted === true && ',
      to: 'const wasCut = signal?.aborted === undefined && ',
    },
    {
      breaks: 'that a thing is not there is a fault of the store',
      from: 'wasCut || isExpected?.(error) === true',
      to: 'wasCut',
    },
    {
      breaks: 'an upstream is down that answers every look',
      from: 'inARow < MAX_IN_A_ROW ?',
      to: 'false ?',
    },
    {
      breaks: 'looking is believed though nothing goes well',
      from: 'inARow < MAX_IN_A_ROW ?',
      to: 'true ?',
    },
    {
      breaks: 'faults of an hour ago count as in a row',
      from: 'before !== undefined && isRecent(before.at)',
      to: 'before !== undefined',
    },
    {
      breaks: 'what goes well does not end a row of faults',
      from: 'this.#faults.delete(kind)',
      to: '',
    },
    {
      breaks: 'reads that go well hide that no write does',
      from: "succeeded({ kind = '' }: Pick<Operation, 'kind'>): void {\n    this.#faults.delete(kind)",
      to: "succeeded({ kind = '' }: Pick<Operation, 'kind'>): void {\n    if (kind !== 'x') this.#faults.clear()",
    },
    {
      breaks: 'who has just come back is trusted at once',
      from: 'this.reason !== undefined || isRecent(this.#upAt)',
      to: 'this.reason !== undefined',
    },
    {
      breaks: 'a look under way is not waited for',
      from: 'await Promise.all(this.#upstreams.map(({ probed }) => probed))',
      to: '',
    },
    {
      breaks: 'each fault starts another look, and each look may hold a thread',
      from: 'if (this.#isWatched) return',
      to: '',
    },
    {
      breaks: 'a look that hangs is repeated',
      from: 'this.#probing ??= (async',
      to: 'this.#probing = (async',
    },
    {
      breaks: 'a look that hangs is waited for, for ever',
      from: 'return Promise.race([this.#probing, late])',
      to: 'return this.#probing',
    },
    {
      breaks: 'after the trial five more faults have to come',
      from: 'inARow: MAX_IN_A_ROW - 1, at: this.#upAt',
      to: 'inARow: 0, at: this.#upAt',
    },
    {
      breaks: 'an upstream that is down is never looked at again',
      from: 'fault = await this.#probe(probe)\n',
      to: 'fault = await new Promise(() => {})\n',
    },
    {
      breaks: 'a service that is down says no reason',
      from: 'sentence(error)}`',
      to: "''}`",
    },
    {
      breaks: 'the gauge of upstreams that are down only rises',
      from: 'metrics.upstreamsDown.add(-1, upstream)',
      to: '',
    },
    {
      breaks: 'the waits between looks are as long as they have ever been',
      from: 'if (!isRecent(this.#upAt)) this.#pause.reset()',
      to: '',
    },
    {
      breaks: 'an upstream that is up stays watched: its next fault is not heard',
      from: 'this.reason = undefined\n    this.#isWatched = false\n',
      to: 'this.reason = undefined\n',
    },
    {
      breaks: 'after one look that went well no fault is heard any more',
      from: 'else this.#isWatched = false\n',
      to: '',
    },
  ]),
  ...mutantsOf(
    'shared/async/retry.ts',
    ['test/shared/async/retry.test.ts'],
    [
      {
        breaks: 'the waits between attempts grow for ever',
        from: 'Math.min(mostMs, firstMs * 2 ** (attempt - 1))',
        to: 'firstMs * 2 ** (attempt - 1)',
      },
      { breaks: 'what stays is tried for ever', from: '!isPassing(error) || ', to: '' },
    ],
  ),
]
