import t from 'tap'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { listedTrack } from '#shared/catalogue/tracks/list-tracks.ts'
import { findTrack } from '#shared/catalogue/tracks/read-tracks.ts'
import type { RunAccepted, RunEnded } from '#shared/contracts/messages/run.ts'
import { cutShort, type Warning, warning } from '#shared/contracts/warnings.ts'
import { accepted, catalogues, ended, jobOf, recordDue } from './fixture.ts'

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
  const { database } = await fresh()
  const job = (day: number) =>
    accepted(['bpm'], { track: 't', accepted: `2026-03-0${day}T10:00:00Z` })
  await recordRuns(database, [endedWith(job(1), [odd])])
  await recordRuns(database, [endedWith(job(2), [short, odd])])
  const [third] = await recordDue(database, [endedWith(job(3), [])])
  t.same(third?.warnings, [short, odd], 'announced also for the run that had nothing to decode')
  t.same((await findTrack(database, 't'))?.master.warnings, [short, odd])
  t.same((await jobOf(database, third?.job ?? ''))?.warnings, [short, odd])
  t.match(await listedTrack(database, 't'), {
    line: { warnings: ['CUT_SHORT', 'HEADER_CONTRADICTS'] },
  })
  await recordRuns(database, [endedWith(job(4), [], 'f02')])
  t.same((await findTrack(database, 't'))?.master.warnings, [], 'another master has its own')
  t.equal((await listedTrack(database, 't'))?.line.warnings, undefined)
})

t.test('of copies of a run each adds what it knows, whichever comes first', async (t) => {
  const { database } = await fresh()
  const run = accepted(['bpm'], { track: 't' })
  await recordRuns(database, [endedWith(run, [])])
  const [copy] = await recordDue(database, [endedWith(run, [short]), endedWith(run, [odd])])
  t.same(copy?.warnings, [short, odd])
  await recordRuns(database, [endedWith(run, [short])])
  t.same((await findTrack(database, 't'))?.master.warnings, [short, odd])
})

t.test('a job that failed before its master was read has none', async (t) => {
  const { database } = await fresh()
  const run = accepted(['bpm'], { track: 't' })
  const [announcement] = await recordDue(database, [ended(run, {}, null)])
  t.same(announcement?.warnings, [])
})
