import { getEventListeners } from 'node:events'
import t from 'tap'
import { abortWith, orAbort, orLate } from '#shared/async/abort.ts'

const never = new Promise<never>(() => {})

t.test('whichever comes first counts, the promise or the signal', async (t) => {
  const stop = new AbortController()
  t.equal(await orAbort(Promise.resolve(1), stop.signal), 1)
  await new Promise(setImmediate)
  t.same(getEventListeners(stop.signal, 'abort'), [], 'and no listener stays')
  const reason = new Error('enough')
  const work = orAbort(never, stop.signal)
  stop.abort(reason)
  await t.rejects(work, reason)
  await t.rejects(orAbort(never, stop.signal), reason)
})

t.test('what takes too long is an error of the caller’s choice', async (t) => {
  t.equal(await orLate(Promise.resolve(1), 3_600_000, () => new Error('late')), 1)
  await t.rejects(
    orLate(never, 1, () => new Error('late')),
    { message: 'late' },
  )
})

t.test('a controller aborts with a signal, as long as it follows it', async (t) => {
  const stop = new AbortController()
  const [following, released] = [new AbortController(), new AbortController()]
  abortWith(stop.signal, following)
  abortWith(stop.signal, released)()
  const reason = new Error('enough')
  stop.abort(reason)
  t.equal(following.signal.reason, reason)
  t.notOk(released.signal.aborted)
  const late = new AbortController()
  abortWith(stop.signal, late)
  t.equal(late.signal.reason, reason, 'and at once if it has aborted')
})
