import fc from 'fast-check'
import { test } from 'tap'
import { LANES, type Lane } from '#shared/contracts/lanes.ts'
import { Stride } from '#shared/frame/stride.ts'

/** After this time no lane is ahead of its share any more. */
const AHEAD_MS = 60_000

test('lanes that all have work share the cores 64 : 16, and backfill gets a twentieth', (t) => {
  const shares = sharesOf({ urgent: 1, new: 1, backfill: 1 })
  t.ok(near(shares.backfill, 0.05), `backfill ${shares.backfill}`)
  t.ok(near(shares.urgent / shares.new, 4), `urgent ${shares.urgent}, new ${shares.new}`)
  t.end()
})

test('two lanes share without the third; backfill gets what its parts are, or a twentieth', (t) => {
  t.ok(near(sharesOf({ new: 1, backfill: 1 }).backfill, 1 / 17))
  t.ok(near(sharesOf({ urgent: 1, backfill: 1 }).backfill, 0.05))
  t.ok(near(sharesOf({ urgent: 1, new: 1 }).new, 0.2))
  t.equal(sharesOf({ backfill: 1 }).backfill, 1, 'a lane that is alone has all')
  t.end()
})

test('shares are those of time, however long the turns of a lane are', (t) => {
  const turn = fc.integer({ min: 200, max: 10_000 })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        turn,
        turn,
        turn,
        fc.integer({ min: 1, max: 4 }),
        (urgent, fresh, last, cores) => {
          const shares = sharesOf({ urgent, new: fresh, backfill: last }, cores)
          return near(shares.backfill, 0.05, 0.01) && near(shares.urgent, 0.76, 0.03)
        },
      ),
      { numRuns: 8 },
    ),
  )
  t.end()
})

test('a lane that comes later neither waits for the past nor is paid for it', (t) => {
  let now = 0
  const stride = new Stride(() => now)
  const run = (lane: Lane, ms: number, wanting: readonly Lane[]) => {
    const end = stride.begin(lane, wanting)
    now += ms
    end(wanting)
  }
  stride.join('backfill', [])
  for (let turn = 0; turn < 1000; turn++) run('backfill', 10_000, ['backfill'])
  stride.join('urgent', ['backfill'])
  t.equal(stride.next(['urgent', 'backfill']), 'urgent', 'the first turn is its own')
  run('urgent', 10_000, ['urgent', 'backfill'])
  t.equal(stride.next(['urgent', 'backfill']), 'urgent', 'so are those of one track')
  run('urgent', 10_000, ['urgent', 'backfill'])
  t.equal(stride.next(['urgent', 'backfill']), 'backfill', 'the next is not')

  for (const [first, second] of [
    ['urgent', 'backfill'],
    ['backfill', 'urgent'],
  ] as const) {
    stride.join(first, [])
    stride.join(second, [first])
    let turns = 0
    while (stride.next(['urgent', 'backfill']) === 'urgent' && turns < 100) {
      run('urgent', 1000, ['urgent', 'backfill'])
      turns++
    }
    t.ok(turns <= 40, `what was alone for hours waits for ${turns} turns`)
    run('backfill', 1000, ['urgent', 'backfill'])
  }
  t.equal(stride.next([]), undefined)
  t.end()
})

/** The shares of the time that lanes get while they always have work. `turns`: ms of each turn, by lane. */
function sharesOf(turns: Partial<Record<Lane, number>>, cores = 2): Record<Lane, number> {
  const wanting = LANES.filter((lane) => turns[lane] !== undefined)
  let now = 0
  const stride = new Stride(() => now)
  for (const [index, lane] of wanting.entries()) stride.join(lane, wanting.slice(0, index))
  const had: Record<Lane, number> = { urgent: 0, new: 0, backfill: 0 }
  const longest = Math.max(...Object.values(turns))
  type Running = { until: number; end: () => void }
  const running: Running[] = []
  for (const until = AHEAD_MS + 400 * longest; now < until; ) {
    while (running.length < cores) {
      const lane = stride.next(wanting) as Lane
      const ms = turns[lane] ?? 0
      const end = stride.begin(lane, wanting)
      running.push({
        until: now + ms,
        end() {
          if (now > AHEAD_MS) had[lane] += ms
          end(wanting)
        },
      })
    }
    running.sort((a, b) => b.until - a.until)
    const { until: at, end } = running.pop() as Running
    now = at
    end()
  }
  const all = had.urgent + had.new + had.backfill
  return { urgent: had.urgent / all, new: had.new / all, backfill: had.backfill / all }
}

function near(value: number, wanted: number, apart = 0.05 * wanted): boolean {
  return Math.abs(value - wanted) <= apart
}
