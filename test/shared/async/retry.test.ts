import t from 'tap'
import { backOff, backOffMs, retry } from '#shared/async/retry.ts'

const QUICK = { firstMs: 1, mostMs: 1 }

t.test('waits double up to the longest, and half of each is random', async (t) => {
  const exact = { firstMs: 100, mostMs: 500, jitter: 0 }
  t.same(
    [1, 2, 3, 4, 50].map((attempt) => backOffMs(attempt, exact)),
    [100, 200, 400, 500, 500],
  )
  for (let n = 0; n < 50; n++) {
    const ms = backOffMs(3, { firstMs: 100, mostMs: 500 })
    t.ok(ms >= 200 && ms <= 400, `${ms}`)
  }
  const pause = backOff(exact)
  t.same([pause.next(), pause.next()], [100, 200])
  pause.reset()
  t.equal(pause.next(), 100)
})

t.test('what may pass is tried again, and nothing else', async (t) => {
  const errors = [new Error('passes'), new Error('passes'), new Error('stays')]
  let calls = 0
  const heard: unknown[] = []
  const work = retry(
    async () => {
      throw errors[calls++]
    },
    {
      ...QUICK,
      isPassing: (error) => (error as Error).message === 'passes',
      onRetry(error) {
        heard.push(error)
        return 1
      },
    },
  )
  await t.rejects(work, { message: 'stays' })
  t.equal(calls, 3)
  t.same(heard, errors.slice(0, 2))
})

t.test('after its time an error is final', async (t) => {
  let calls = 0
  const work = retry(
    async () => {
      calls++
      throw new Error('away')
    },
    { ...QUICK, withinMs: 0 },
  )
  await t.rejects(work, { message: 'away' })
  t.equal(calls, 1)
})

t.test('a signal ends the retries with its reason, also while they wait', async (t) => {
  const stop = new AbortController()
  const reason = new Error('enough')
  const work = retry(() => Promise.reject(new Error('away')), {
    signal: stop.signal,
    firstMs: 3_600_000,
    mostMs: 3_600_000,
    onRetry() {
      setImmediate(() => stop.abort(reason))
      return undefined
    },
  })
  await t.rejects(work, reason)
  await t.rejects(
    retry(async () => 1, { signal: stop.signal }),
    reason,
  )
})
