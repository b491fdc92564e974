import t from 'tap'
import { batching } from '#shared/async/batch.ts'
import { lull, until } from '../../support/patience.ts'

/** Batches that end when the test says so. */
function bench(most = 3) {
  const batches: { items: readonly number[]; end: (error?: Error) => void }[] = []
  const ask = batching<number, string>(
    (items) =>
      new Promise((resolve, reject) => {
        const end = (error?: Error) =>
          error ? reject(error) : resolve(items.map((item) => `answer ${item}`))
        batches.push({ items, end })
      }),
    { most, gatherMs: 5 },
  )
  let seen = 0
  /** The next batch has begun, and no other beside it. */
  const next = async () => {
    await until(() => batches.length > seen, 60_000, 5)
    seen++
    await lull(20)
  }
  return { batches, ask, next }
}

t.test('what comes together travels together, each with its own answer', async (t) => {
  const { batches, ask, next } = bench()
  const answers = [1, 2].map(ask)
  await next()
  t.same(
    batches.map(({ items }) => items),
    [[1, 2]],
  )
  batches[0]?.end()
  t.same(await Promise.all(answers), ['answer 1', 'answer 2'])
})

t.test(
  'items that come during a batch are the next one, up to the maximum, by themselves',
  async (t) => {
    const { batches, ask, next } = bench()
    const answers = [1, 2, 3, 4, 5, 6, 7].map(ask)
    await next()
    t.same(
      batches.map(({ items }) => items),
      [[1, 2, 3]],
      'one at a time',
    )
    batches[0]?.end()
    await next()
    batches[1]?.end()
    await next()
    batches[2]?.end()
    t.same(
      batches.map(({ items }) => items),
      [[1, 2, 3], [4, 5, 6], [7]],
    )
    t.equal((await Promise.all(answers)).at(-1), 'answer 7')
  },
)

t.test('a batch that fails fails each of its own, and no other', async (t) => {
  const { batches, ask, next } = bench(2)
  const [one, two, three] = [1, 2, 3].map(ask)
  const rejected = Promise.all([one, two].map((each) => t.rejects(async () => each, /no/)))
  await next()
  batches[0]?.end(new Error('no'))
  await rejected
  await next()
  batches[1]?.end()
  t.equal(await three, 'answer 3')
})
