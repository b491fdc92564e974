import t from 'tap'
import { Isolation } from '#shared/underway/isolation.ts'
import { lull, until } from '../../support/patience.ts'

t.test(
  'work that has to be alone lets other work go first, and then makes it wait',
  async (t) => {
    const isolation = new Isolation({ quietMs: 50 })
    const seen: string[] = []
    const does = async (what: string, way: 'alone' | 'beside') => {
      const leave = await isolation[way]()
      seen.push(what)
      return leave
    }
    const leaveA = await does('a', 'beside')
    const suspects = ['suspect', 'second'].map((what) => does(what, 'alone'))
    const leaveB = await does('b', 'beside')
    leaveA()
    await lull(200)
    t.same(seen, ['a', 'b'], 'both at once')
    leaveB()
    const [first, second] = suspects as [Promise<() => void>, Promise<() => void>]
    const leaveFirst = await first
    const late = does('late', 'beside')
    await lull(200)
    t.same(seen, ['a', 'b', 'suspect'], 'nobody beside it')
    leaveFirst()
    const leaveSecond = await second
    leaveSecond()
    await late
    t.equal(seen.length, 5)
  },
)

t.test('where there is never quiet, it has its turn all the same', async (t) => {
  const isolation = new Isolation({ quietMs: 1000, mostMs: 200 })
  const leave = await isolation.beside()
  let isAlone = false
  const alone = isolation.alone().then((end) => {
    isAlone = true
    return end
  })
  await lull(400)
  const late = isolation.beside()
  t.notOk(isAlone)
  leave()
  await until(() => isAlone)
  ;(await alone)()
  ;(await late)()
})
