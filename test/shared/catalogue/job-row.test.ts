import t from 'tap'
import {
  announcementId,
  isComplete,
  type JobRow,
  type JobVerdict,
  newJob,
  revisionOf,
  stateOf,
  withAcceptance,
  withRunEnded,
  withVerdict,
} from '#shared/catalogue/jobs/job-row.ts'
import type { Verdict } from '#shared/contracts/messages/run.ts'
import { accepted, again, failed, made, ended as runEnded } from './fixture.ts'

const job = accepted(['bpm', 'key'])
const [early, late] = ['2026-03-01T10:00:00.000Z', '2026-03-02T10:00:00.000Z']
const of = (verdict: Verdict, over: Partial<JobVerdict> = {}) =>
  ({ ...verdict, revision: 'f01', run: 1, accepted: early, ...over }) as JobVerdict
/** What stands after two verdicts, in this order. */
const after = (first: JobVerdict, second: JobVerdict): JobVerdict | undefined =>
  withVerdict(withVerdict(newJob(job), 'bpm', first), 'bpm', second).verdicts.get('bpm')
const eitherWay = (a: JobVerdict, b: JobVerdict) => [after(a, b), after(b, a)]

t.test(
  'an asset that was made of the same bytes stays made, no matter what comes later',
  (t) => {
    for (const run of [1, 2]) {
      for (const verdict of eitherWay(of(made('x')), of(failed(), { run }))) {
        t.match(verdict, { state: 'made', run }, 'and decides the later run as well')
      }
      for (const verdict of eitherWay(of(made('x'), { run }), of(failed()))) {
        t.match(verdict, { state: 'made', run })
      }
    }
    t.end()
  },
)

t.test('of other bytes the later run is right, in whatever order they come', (t) => {
  for (const other of [{ revision: 'f02' }, { version: 2 }]) {
    const second = of(failed(), { ...other, run: 2 } as Partial<JobVerdict>)
    for (const verdict of eitherWay(of(made('x')), second)) {
      t.match(verdict, { ...other, state: 'failed', run: 2 })
    }
  }
  t.end()
})

t.test('within a run what was made is right, and else what was accepted later', (t) => {
  const other = { revision: 'f02' }
  for (const verdict of eitherWay(of(made('x')), of(failed(), { ...other, accepted: late })))
    t.match(verdict, { state: 'made', revision: 'f01' })
  for (const verdict of eitherWay(of(made('x')), of(made('y'), { ...other, accepted: late })))
    t.match(verdict, other)
  t.end()
})

t.test('what is no news leaves the very same row', (t) => {
  const row = withRunEnded(newJob(job), runEnded(job))
  t.equal(withRunEnded(row, runEnded(job)), row)
  t.equal(withRunEnded(row, runEnded(job, { bpm: failed() })), row)
  t.equal(withAcceptance(row, again(job, {}, ['key'])), row)
  t.end()
})

t.test(
  'a higher run opens what it asks for; an old one that comes late changes nothing',
  (t) => {
    const done = withRunEnded(newJob(job), runEnded(job))
    t.equal(stateOf(done), 'done')
    const second = again(job, { run: 2, route: 'onprem' }, ['key'])
    const opened = withAcceptance(done, second)
    t.match(opened, { run: 2, route: 'onprem', request: second.request })
    t.notOk(isComplete(opened), 'the first run says nothing of the second')
    t.equal(stateOf(opened), 'running', 'of bpm nothing is owed')
    t.equal(withAcceptance(opened, job), opened)
    const widened = withAcceptance(opened, again(job, {}, ['flac']))
    t.match(widened, { run: 2, route: 'onprem', request: second.request })
    t.same(
      [...widened.wanted],
      [
        ['bpm', 1],
        ['key', 2],
        ['flac', 1],
      ],
    )
    t.end()
  },
)

t.test('a job is as its wanted assets are', (t) => {
  const state = (verdicts: Record<string, Verdict>) => {
    let row: JobRow = newJob(job)
    for (const [asset, verdict] of Object.entries(verdicts))
      row = withVerdict(row, asset, of(verdict))
    return stateOf(row)
  }
  t.equal(state({}), 'accepted')
  t.equal(state({ bpm: made('x') }), 'running')
  t.equal(state({ bpm: made('x'), key: made('y') }), 'done')
  t.equal(state({ bpm: made('x'), key: failed() }), 'partial')
  t.equal(state({ bpm: failed(), key: failed() }), 'failed')
  t.equal(state({ flac: made('x') }), 'accepted', 'others say nothing')
  t.end()
})

t.test('its revision is that of its latest verdict that has one', (t) => {
  const row = (...verdicts: (readonly [string, Partial<JobVerdict>])[]) =>
    verdicts.reduce(
      (of_, [asset, over]) => withVerdict(of_, asset, of(failed(), over)),
      newJob(job),
    )
  t.equal(revisionOf(row(['bpm', { revision: null }])), null)
  const second = ['key', { revision: 'f02', run: 2 }] as const
  t.equal(revisionOf(row(['bpm', {}], second)), 'f02')
  t.equal(revisionOf(row(second, ['bpm', {}])), 'f02')
  const younger = ['key', { revision: 'f03', accepted: late }] as const
  t.equal(revisionOf(row(['bpm', {}], younger)), 'f03')
  t.equal(revisionOf(row(younger, ['bpm', { revision: null, run: 3 }])), 'f03')
  t.end()
})

t.test(
  'an announcement is named by the job, its run and what each asset was wanted by',
  (t) => {
    const row = newJob(job)
    const ids = [
      row,
      newJob(accepted(['bpm', 'key'])),
      withAcceptance(row, again(job, {}, ['flac'])),
      withAcceptance(row, again(job, { run: 2 }, ['bpm'])),
      withAcceptance(row, again(job, { run: 2 }, ['key'])),
      withAcceptance(
        withAcceptance(row, again(job, { run: 2 }, ['key'])),
        again(job, { run: 2 }, ['bpm']),
      ),
    ].map(announcementId)
    t.equal(new Set(ids).size, ids.length)
    t.equal(announcementId(newJob(again(job, {}, ['key', 'bpm']))), ids[0], 'in any order')
    t.end()
  },
)
