import t from 'tap'
import type { RunAccepted, RunEnded } from '#shared/contracts/messages/run.ts'
import { cutShort, type Warning, warning } from '#shared/contracts/warnings.ts'
import { accepted, catalogues, ended } from './fixture.ts'

const fresh = await catalogues(t)
const short = cutShort('the WAV', 4, 1)
const odd = warning('HEADER_CONTRADICTS', 'the header has blocks of 4 bytes')

function endedWith(run: RunAccepted, warnings: readonly Warning[], revision = 'f01'): RunEnded {
  const whole = ended(run, {}, revision)
  return whole.master === null
    ? whole
    : { ...whole, master: { ...whole.master, warnings: [...warnings] } }
}

t.test('what any run has found out about a master stays with its revision', async (t) => {
  const { catalogue } = await fresh(t)
  const job = (day: number) =>
    accepted(['bpm'], { track: 't', accepted: `2026-03-0${day}T10:00:00Z` })
  await catalogue.recordRuns([endedWith(job(1), [odd])])
  await catalogue.recordRuns([endedWith(job(2), [short, odd])])
  const [third] = await catalogue.recordRuns([endedWith(job(3), [])])
  t.same(third?.warnings, [short, odd], 'announced also for the run that had nothing to decode')
  t.same((await catalogue.track('t'))?.master.warnings, [short, odd])
  t.same((await catalogue.job(third?.job ?? ''))?.warnings, [short, odd])
  t.match(await catalogue.listedTrack('t'), { warnings: ['CUT_SHORT', 'HEADER_CONTRADICTS'] })
  await catalogue.recordRuns([endedWith(job(4), [], 'f02')])
  t.same((await catalogue.track('t'))?.master.warnings, [], 'another master has its own')
  t.match(await catalogue.listedTrack('t'), { warnings: [] })
})

t.test('of copies of a run each adds what it knows, whichever comes first', async (t) => {
  const { catalogue } = await fresh(t)
  const run = accepted(['bpm'], { track: 't' })
  await catalogue.recordRuns([endedWith(run, [])])
  const [copy] = await catalogue.recordRuns([endedWith(run, [short]), endedWith(run, [odd])])
  t.same(copy?.warnings, [short, odd])
  await catalogue.recordRuns([endedWith(run, [short])])
  t.same((await catalogue.track('t'))?.master.warnings, [short, odd])
})

t.test('a job that failed before its master was read has none', async (t) => {
  const { catalogue } = await fresh(t)
  const run = accepted(['bpm'], { track: 't' })
  const [announcement] = await catalogue.recordRuns([ended(run, {}, null)])
  t.same(announcement?.warnings, [])
})
