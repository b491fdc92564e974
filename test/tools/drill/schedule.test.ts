import t from 'tap'
import { seeded, shuffled } from '../../../tools/drill/random.ts'
import { type Act, OTHERS, schedule } from '../../../tools/drill/schedule.ts'

const thousand = { seed: 7, kills: 1_000, everyMs: 1_500, also: OTHERS }
const kindsIn = (acts: readonly Act[]) => new Set(acts.map(({ kind }) => kind))
const killsIn = (acts: readonly Act[]) => acts.filter(({ kind }) => kind === 'kill')

t.test('the same seed gives the same schedule, another seed another one', async (t) => {
  const text = JSON.stringify(schedule(thousand))
  t.ok(JSON.stringify(schedule(thousand)) === text)
  t.notOk(JSON.stringify(schedule({ ...thousand, seed: 8 })) === text)
})

t.test('a schedule has the requested number of kills at the requested pace', async (t) => {
  const acts = schedule(thousand)
  t.equal(killsIn(acts).length, 1_000)
  t.same(kindsIn(acts), new Set(['kill', ...OTHERS]))
  const waits = killsIn(acts).map(({ afterMs }) => afterMs)
  const mean = waits.reduce((a, b) => a + b) / waits.length
  t.ok(mean > 1_400 && mean < 1_600, `${mean} ms between two kills`)
  t.ok(Math.min(...waits) < 300 && Math.max(...waits) > 2_700, 'not at a steady beat')
  t.same(schedule({ ...thousand, kills: 0 }), [])
})

t.test('every process is a victim, and now and then all at once', async (t) => {
  const kills = killsIn(schedule(thousand))
  const single = kills.filter(({ all }) => !all).map(({ order }) => order[0])
  const names = ['analyze', 'database', 'encode', 'ingest', 'publish', 'pubsub', 'stage']
  t.same([...new Set(single)].sort(), names)
  const orders = new Set(kills.map(({ order }) => order.toSorted().join()))
  t.same([...orders], [names.join()], 'another one stands in')
  const ofAll = kills.filter(({ all }) => all).length
  t.ok(ofAll > 20 && ofAll < 70, `${ofAll} of all at once`)
  const count = (name: string) => single.filter((each) => each === name).length
  t.ok(count('encode') > 2 * count('ingest'), 'those that compute are hit most')
})

t.test(
  'a stop outlasts a lease, and the database gets neither SIGSTOP nor SIGTERM',
  async (t) => {
    const others = schedule(thousand).filter(({ kind }) => kind === 'stop' || kind === 'term')
    t.notOk(others.some(({ order }) => order.includes('database')))
    const stops = others.filter(({ kind }) => kind === 'stop')
    t.ok(stops.every(({ stopMs = 0 }) => stopMs > 20_000))
  },
)

t.test('disturbances that are left out do not change the kills', async (t) => {
  const bare = schedule({ ...thousand, also: [] })
  t.ok(JSON.stringify(bare) === JSON.stringify(killsIn(schedule(thousand))))
})

t.test('a shuffle keeps all items, and tends to put heavy ones first', async (t) => {
  const random = seeded(1)
  const first = Array.from({ length: 1_000 }, () => {
    const order = shuffled(random, ['light', 'heavy'], (item) => (item === 'heavy' ? 3 : 1))
    return order.length === 2 ? order[0] : 'lost'
  })
  const heavy = first.filter((item) => item === 'heavy').length
  t.ok(heavy > 700 && heavy < 800, `${heavy} of 1,000 times; 750 were due`)
})
