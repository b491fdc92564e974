import t from 'tap'
import { compared, figuresOf } from '../../../tools/bench/figures.ts'

t.test('a figure is named by the words around it', async (t) => {
  const printed = [
    'new tracks, through all five services: 24,500 jobs a minute',
    '  core-milliseconds a job: ingest 0.93, stage 5.19',
    'the same, paced at 600 jobs/s for 20 s: p50 12 ms, p99 340 ms',
    'no figure here',
  ].join('\n')
  t.strictSame(figuresOf(printed), [
    { what: 'new tracks, through all five services: # jobs a minute', value: 24_500 },
    { what: 'core-milliseconds a job: ingest #', value: 0.93 },
    { what: 'core-milliseconds a job: stage #', value: 5.19 },
    { what: 'the same, paced at 600 jobs/s for 20 s: p50 # ms', value: 12 },
    { what: 'the same, paced at 600 jobs/s for 20 s: p99 # ms', value: 340 },
  ])
})

t.test('medians are compared, and what only one revision prints is left out', async (t) => {
  const before = ['rate: 10 a second', 'rate: 30 a second', 'rate: 20 a second\nold: 1']
  const after = ['rate: 40 a second', 'rate: 41 a second', 'rate: 5 a second\nnew: 1']
  t.strictSame(compared(before, after), [
    { what: 'rate: # a second', before: 20, after: 40, ratio: 2 },
  ])
})
