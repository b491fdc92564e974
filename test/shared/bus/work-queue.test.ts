import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { WorkQueue } from '#shared/bus/work-queue.ts'
import { until } from '../../support/patience.ts'

t.test('works in order, at most as many at a time as set', async (t) => {
  const begun: number[] = []
  let running = 0
  let most = 0
  const queue = new WorkQueue<number>(
    3,
    async (item) => {
      begun.push(item)
      most = Math.max(most, ++running)
      await sleep(item % 2 === 0 ? 1 : 5)
      running--
    },
    () => t.fail('nothing failed'),
  )
  const items = Array.from({ length: 50 }, (_, i) => i)
  for (const item of items) queue.add(item)
  while (begun.length < 50 || running > 0) await sleep(5)
  t.same(begun, items)
  t.equal(most, 3)
  queue.add(50)
  t.same(begun.at(-1), 50, 'and goes on after it has run dry')
})

t.test('what has not begun can be taken out', async (t) => {
  const begun: number[] = []
  const gate = Promise.withResolvers<void>()
  const queue = new WorkQueue<number>(
    2,
    async (item) => {
      begun.push(item)
      await gate.promise
    },
    () => {},
  )
  for (let item = 0; item < 6; item++) queue.add(item)
  t.same(queue.clear(), [2, 3, 4, 5])
  queue.add(6)
  gate.resolve()
  await until(() => begun.length === 3, 60_000, 5)
  t.same(begun, [0, 1, 6])
  t.same(queue.clear(), [])
})

t.test('work that throws is reported, and the rest goes on', async (t) => {
  const failed: [number, string][] = []
  const done: number[] = []
  const queue = new WorkQueue<number>(
    1,
    async (item) => {
      if (item === 1) throw new Error('no')
      done.push(item)
    },
    (item, { message }) => failed.push([item, message]),
  )
  for (let item = 0; item < 3; item++) queue.add(item)
  await until(() => done.length === 2, 60_000, 5)
  t.same(failed, [[1, 'no']])
  t.same(done, [0, 2])
})

t.test(
  'what was worked off is let go, also when there is always something waiting',
  async (t) => {
    setFlagsFromString('--expose-gc')
    const gc: () => void = runInNewContext('gc')
    const given: WeakRef<object>[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    const add = () => {
      const item = {}
      given.push(new WeakRef(item))
      queue.add(item)
    }
    const queue = new WorkQueue<object>(
      1,
      async () => {
        await setImmediate()
        if (given.length < 100) add()
        else resolve()
      },
      () => {},
    )
    for (let n = 0; n < 3; n++) add()
    await promise
    await setImmediate()
    gc()
    const kept = given.slice(0, 90).filter((ref) => ref.deref() !== undefined)
    // The one that it began with stays with the loop.
    t.ok(kept.length <= 1, `${kept.length} of those long done are kept`)
  },
)
