import { randomUUID } from 'node:crypto'
import t from 'tap'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { findTrack } from '#shared/catalogue/tracks/read-tracks.ts'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import { accepted, catalogues, ended, event, failed, jobOf } from './fixture.ts'

const fresh = await catalogues(t)

const HOSTILE = [
  `'; drop table job; --`,
  `" ' \\ \\' $1 $$ %s {} [] , NULL`,
  '\\u0000 written out',
  '日本語 🎵 \u202E\u0007\n\r\t',
]

t.test('text comes back as it went in, whatever it would mean in SQL or JSON', async (t) => {
  const { database } = await fresh()
  for (const text of HOSTILE) {
    const run = accepted(['bpm', 'key'])
    const track = run.request.asset_guid
    const verdicts = { bpm: failed(text), key: { ...failed(), state: 'made' as const } }
    const key = {
      state: 'made' as const,
      version: 1,
      files: { [text]: 1 },
      result: { [text]: text },
    }
    await recordRuns(database, [ended(run, { ...verdicts, key })])
    await recordEvents(database, [event(run, { sentence: text, units: [text], worker: text })])
    t.match(await jobOf(database, run.job), { assets: { bpm: { sentence: text }, key } })
    t.match(await findTrack(database, track), { assets: [{ sentence: text }, key] })
    t.match(await trackHistory(database, track, { limit: 1 }), {
      events: [{ sentence: text, units: [text], worker: text }],
    })
    t.same(await jobsOfRequest(database, text), [])
    t.equal(await findTrack(database, text), undefined)
  }
})

t.test('what PostgreSQL cannot hold is replaced, and stops no batch', async (t) => {
  const { database } = await fresh()
  const run = accepted(['bpm'])
  const track = run.request.asset_guid
  const text = 'a\0b\uD800c'
  await recordRuns(database, [ended(run, { bpm: failed(text) })])
  t.match(await jobOf(database, run.job), { assets: { bpm: { sentence: 'a\uFFFDb\uFFFDc' } } })
  const odd: Partial<StepEvent>[] = [
    { sentence: text, units: [text] },
    { id: `urn:uuid:${randomUUID()}` },
    { run: 1e300, attempt: 1e300, bytes_read: 1e300, ms: 1e308 },
    { at: '0000-01-01T00:00:00Z' },
    { at: '2026-12-31T23:59:60Z' },
    { job: 'x'.repeat(9_000) },
  ]
  await recordEvents(
    database,
    odd.map((over) => event(run, over)),
  )
  await recordEvents(database, [event(run, { track: randomUUID().repeat(500) })])
  t.equal((await trackHistory(database, track, { limit: 100 })).events.length, odd.length)
  t.same(await jobsOfRequest(database, '\0'), [])
  t.equal(await findTrack(database, '\0'), undefined)
  t.same((await trackHistory(database, '\0', { limit: 1 })).events, [])
})
