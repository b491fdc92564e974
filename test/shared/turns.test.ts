import t from 'tap'
import { Turns } from '#shared/underway/turns.ts'

t.test('whoever has to be alone waits for those who work, and has others wait', async (t) => {
  const turns = new Turns()
  const seen: string[] = []
  const settle = async () => {
    for (let n = 0; n < 20; n++) await Promise.resolve()
  }
  const does = async (what: string, way: 'alone' | 'beside') => {
    const leave = await turns[way]()
    seen.push(what)
    return leave
  }
  const [leaveA, leaveB] = await Promise.all([does('a', 'beside'), does('b', 'beside')])
  const suspect = does('suspect', 'alone')
  const second = does('second', 'alone')
  const late = does('late', 'beside')
  await settle()
  t.same(seen, ['a', 'b'])
  leaveA()
  await settle()
  t.same(seen, ['a', 'b'])
  leaveB()
  const leaveSuspect = await suspect
  await settle()
  t.same(seen, ['a', 'b', 'suspect'])
  leaveSuspect()
  const leaveSecond = await second
  await settle()
  t.same(seen, ['a', 'b', 'suspect', 'second'])
  leaveSecond()
  await late
  t.same(seen, ['a', 'b', 'suspect', 'second', 'late'])
})
