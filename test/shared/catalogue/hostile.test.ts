import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import { accepted, catalogues, ended, event, failed } from './fixture.ts'

const fresh = await catalogues(t)

const HOSTILE = [
  `'; drop table job; --`,
  `" ' \\ \\' $1 $$ %s {} [] , NULL`,
  '\\u0000 written out',
  '日本語 🎵 \u202E\u0007\n\r\t',
]

t.test('text comes back as it went in, whatever it would mean in SQL or JSON', async (t) => {
  const { catalogue } = await fresh(t)
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
    await catalogue.recordRuns([ended(run, { ...verdicts, key })])
    await catalogue.recordEvents([event(run, { sentence: text, units: [text], worker: text })])
    t.match(await catalogue.job(run.job), { assets: { bpm: { sentence: text }, key } })
    t.match(await catalogue.track(track), { assets: [{ sentence: text }, key] })
    t.match(await catalogue.trackHistory(track, { limit: 1 }), {
      events: [{ sentence: text, units: [text], worker: text }],
    })
    t.same(await catalogue.jobsOfRequest(text), [])
    t.equal(await catalogue.track(text), undefined)
  }
})

t.test('what PostgreSQL cannot hold is replaced, and stops no batch', async (t) => {
  const { catalogue } = await fresh(t)
  const run = accepted(['bpm'])
  const track = run.request.asset_guid
  const text = 'a\0b\uD800c'
  await catalogue.recordRuns([ended(run, { bpm: failed(text) })])
  t.match(await catalogue.job(run.job), { assets: { bpm: { sentence: 'a\uFFFDb\uFFFDc' } } })
  const odd: Partial<StepEvent>[] = [
    { sentence: text, units: [text] },
    { id: `urn:uuid:${randomUUID()}` },
    { run: 1e300, attempt: 1e300, bytesRead: 1e300, ms: 1e308 },
    { at: '0000-01-01T00:00:00Z' },
    { at: '2026-12-31T23:59:60Z' },
    { job: 'x'.repeat(9_000) },
  ]
  await catalogue.recordEvents(odd.map((over) => event(run, over)))
  await catalogue.recordEvents([event(run, { track: randomUUID().repeat(500) })])
  t.equal((await catalogue.trackHistory(track, { limit: 100 })).events.length, odd.length)
  t.equal(await catalogue.job('\0'), undefined)
  t.equal(await catalogue.track('\0'), undefined)
  t.same((await catalogue.trackHistory('\0', { limit: 1 })).events, [])
})
