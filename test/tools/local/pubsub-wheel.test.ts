import t from 'tap'
import { steadyNow } from '../../../tools/local/pubsub/clock.ts'
import { type Timed, Wheel } from '../../../tools/local/pubsub/timer-wheel.ts'
import { lull, until } from '../../support/patience.ts'

interface Item extends Timed {
  readonly name: string
}

const item = (name: string): Item => ({ name, due: 0, slot: undefined })

t.test('items expire when they are due, not before, and once', async (t) => {
  const came: { name: string; early: number }[] = []
  const wheel = new Wheel<Item>(
    ({ name, due }, now) => came.push({ name, early: due - now }),
    10,
  )
  t.teardown(() => wheel.close())
  const now = steadyNow()
  const [late, soon, past] = [item('late'), item('soon'), item('past')]
  wheel.set(late, now + 150)
  wheel.set(soon, now + 50)
  wheel.set(past, now - 1000)
  await until(() => came.length >= 3)
  t.same(
    came.map(({ name }) => name),
    ['past', 'soon', 'late'],
  )
  t.ok(came.every(({ early }) => early <= 0))
})

t.test('an item can be postponed, brought forward and dropped', async (t) => {
  const came: string[] = []
  const wheel = new Wheel<Item>(({ name }) => came.push(name), 10)
  t.teardown(() => wheel.close())
  const now = steadyNow()
  const [off, forward, dropped] = [item('off'), item('forward'), item('dropped')]
  wheel.set(off, now + 50)
  wheel.set(off, now + 60_000)
  wheel.set(forward, now + 60_000)
  wheel.set(forward, now + 60)
  wheel.set(dropped, now + 50)
  wheel.drop(dropped)
  await until(() => came.length >= 1)
  await lull(200)
  t.same(came, ['forward'])
})

t.test('an item may be set again when it expires', async (t) => {
  let times = 0
  const again = item('again')
  const wheel: Wheel<Item> = new Wheel((due, now) => {
    if (++times < 3) wheel.set(due, now + 20)
  }, 10)
  t.teardown(() => wheel.close())
  wheel.set(again, steadyNow() + 20)
  await until(() => times >= 3)
  await lull(100)
  t.equal(times, 3)
})
