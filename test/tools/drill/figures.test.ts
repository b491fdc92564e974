import t from 'tap'
import {
  computedTwiceMs,
  longestStallMs,
  meanStepMs,
  resumed,
  type Span,
  swept,
} from '../../../tools/drill/figures.ts'
import type { Heard } from '../../../tools/drill/witness.ts'

const START = Date.parse('2026-01-01T00:00:00.000Z')

/** An event of a step that took a second and ended at `seconds`. */
function event(seconds: number, more: Partial<Heard> = {}): Heard {
  return {
    at: new Date(START + seconds * 1000 - 1000).toISOString(),
    heardMs: START + seconds * 1000,
    ...{ step: 'encode', verdict: 'done', job: 'job', run: 1, attempt: 1 },
    ...{ units: ['aac-128@1 0-100'], worker: 'host/17', ms: 1000 },
    ...more,
  }
}

t.test('a delivery is resumed when the attempt before it was never settled', async (t) => {
  t.same(resumed([event(1)]), {}, 'a first attempt')
  t.same(resumed([event(1, { attempt: 2 })]), { encode: 1 }, 'the first one died')
  const again = event(1, { verdict: 'retry' })
  t.same(resumed([again, event(2, { attempt: 2 })]), {}, 'the first one was given back')
  t.same(
    resumed([again, event(2, { attempt: 3 }), event(3, { attempt: 2, step: 'analyze' })]),
    { encode: 1, analyze: 1 },
    'what was given back was another one',
  )
  t.same(
    resumed([again, event(2, { attempt: 2 }), event(3, { attempt: 2 })]),
    { encode: 1 },
    'it was given back once only',
  )
})

t.test(
  'time is computed twice in steps that were cut off, given back, or repeated',
  async (t) => {
    const cut = { pid: 17, from: START, to: START + 700 }
    t.equal(computedTwiceMs([event(1)], [], []), 0)
    t.equal(computedTwiceMs([event(2)], [cut], []), 700)
    t.equal(
      computedTwiceMs([event(1, { verdict: 'retry', units: [] }), event(2)], [], []),
      1000,
    )
    t.equal(computedTwiceMs([event(1), event(2)], [], []), 1000, 'made once more')
    t.equal(computedTwiceMs([event(1), event(2, { verdict: 'skipped' })], [], []), 0)
    t.equal(computedTwiceMs([event(1), event(2, { job: 'other' })], [], []), 0)
    t.equal(computedTwiceMs([event(1, { step: 'publish' }), event(2)], [], []), 0)
    const half = event(2, { units: ['aac-128@1 0-100', 'waveform@1 0-100'] })
    t.equal(computedTwiceMs([event(1), half], [], []), 500, 'half of its units')
  },
)

t.test('a process that was stopped did not compute', async (t) => {
  const stop = { pid: 17, from: START + 200, to: START + 600 }
  const cut = { pid: 17, from: START, to: START + 700 }
  t.equal(computedTwiceMs([], [cut], [stop]), 300)
  t.equal(computedTwiceMs([], [cut], [{ ...stop, pid: 18 }]), 700)
  t.equal(computedTwiceMs([event(1, { verdict: 'retry' })], [], [stop]), 600)
})

t.test('a stall is the longest time without any progress', async (t) => {
  const span = { from: START, to: START + 10_000 }
  const stall = (events: Heard[], ...ways: Span[]) => longestStallMs(events, ways)
  t.equal(stall([], span), 10_000)
  t.equal(stall([event(2), event(7), event(9)], span), 5_000)
  const idle = event(5, { verdict: 'retry' })
  t.equal(stall([event(2), idle, event(9)], span), 7_000, 'what failed is none')
  t.equal(stall([event(1), event(12)], span), 9_000, 'the end counts too')
  const [first, second] = [1, 6].map((at) => ({
    from: START + at * 1000,
    to: START + (at + 2) * 1000,
  }))
  t.equal(stall([], first as Span, second as Span), 2_000, 'not while there is nothing to do')
  t.equal(
    stall(
      [event(2)],
      { ...span, to: START + 5_000 },
      { from: START + 4_000, to: START + 6_000 },
    ),
    4_000,
  )
})

t.test('only steps that made something count for the mean', async (t) => {
  t.equal(meanStepMs([]), 0)
  const skipped = event(3, { verdict: 'skipped', ms: 1 })
  const stage = event(4, { step: 'stage', ms: 1 })
  t.equal(meanStepMs([event(1), event(2, { ms: 3000 }), skipped, stage]), 2000)
})

t.test('sweeps are counted', async (t) => {
  t.equal(swept([event(1), event(2, { verdict: 'swept', step: 'watchdog' })]), 1)
})
