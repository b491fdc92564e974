import t from 'tap'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { markAnnounced, recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { findTrack } from '#shared/catalogue/tracks/read-tracks.ts'
import { accepted, again, catalogues, ended, event, failed, recordDue } from './fixture.ts'

const fresh = await catalogues(t)

t.test('a track has its master and the assets of its current revision', async (t) => {
  const { database } = await fresh()
  const run = accepted(['bpm', 'key'])
  const track = run.request.asset_guid
  t.equal(await findTrack(database, track), undefined)
  await recordRuns(database, [ended(run, { key: failed() })])
  t.match(await findTrack(database, track), {
    ...{ track, revision: 'f01' },
    master: { uri: `file:///masters/${track}.wav`, samples: 441_000 },
    assets: [
      { asset: 'bpm', version: 1, state: 'made', files: { json: 120 } },
      { asset: 'key', version: 1, state: 'failed', code: 'RENDER_FAILED' },
    ],
  })
})

t.test('the latest accepted job decides the revision, whichever ends last', async (t) => {
  const { database } = await fresh()
  const old = accepted(['bpm'], { track: 't', accepted: '2026-03-01T10:00:00Z' })
  const young = accepted(['key'], { track: 't', accepted: '2026-03-02T10:00:00Z' })
  await recordRuns(database, [ended(young, {}, 'f02')])
  await recordRuns(database, [ended(old, {}, 'f01')])
  t.match(await findTrack(database, 't'), { revision: 'f02', assets: [{ asset: 'key' }] })
})

t.test('a track is called what the latest job says that says so', async (t) => {
  const { database } = await fresh()
  const named = async (day: number, names: { title?: string; artist?: string }) => {
    const run = accepted(['bpm'], { track: 't', accepted: `2026-03-0${day}T10:00:00Z` })
    await recordRuns(database, [ended({ ...run, request: { ...run.request, ...names } })])
    return (await findTrack(database, 't'))?.names
  }
  t.same(await named(1, {}), {})
  t.same(await named(3, { title: 'Third', artist: 'A' }), { title: 'Third', artist: 'A' })
  t.same(await named(2, { title: 'Second' }), { title: 'Third', artist: 'A' }, 'ended late')
  t.same(await named(4, {}), { title: 'Third', artist: 'A' }, 'says nothing')
  t.same(await named(5, { artist: 'B' }), { title: 'Third', artist: 'B' }, 'each for itself')
  t.same(await named(6, { title: '' }), { artist: 'B' }, 'taken away')
})

t.test('a job that is posted again under another name changes the name alone', async (t) => {
  const { database } = await fresh()
  const run = accepted(['bpm'], { track: 't' })
  const [announcement] = await recordDue(database, [ended(run)])
  if (announcement) await markAnnounced(database, [announcement])
  const renamed = again(run, { accepted: '2026-03-02T10:00:00Z' })
  const request = { ...renamed.request, title: 'New' }
  t.same(await recordDue(database, [ended({ ...renamed, request })]), [])
  t.same((await findTrack(database, 't'))?.names, { title: 'New' })
})

t.test('each verdict says which revision it is of', async (t) => {
  const { database } = await fresh()
  const run = accepted(['bpm'])
  await recordRuns(database, [ended(run, {}, 'f01')])
  const wider = again(run, { accepted: '2026-03-02T10:00:00Z' }, ['key'])
  const [announcement] = await recordDue(database, [ended(wider, {}, 'f02')])
  t.match(announcement, {
    revision: 'f02',
    verdicts: { bpm: { revision: 'f01' }, key: { revision: 'f02' } },
  })
})

t.test(
  'a history is read page by page, the latest first, equal instants included',
  async (t) => {
    const { database } = await fresh()
    const run = accepted(['bpm'], { track: 't' })
    const events = Array.from({ length: 7 }, (_, index) =>
      event(run, { at: `2026-03-01T10:00:0${Math.floor(index / 3)}.123Z` }),
    )
    await recordEvents(database, events)
    await recordEvents(database, [event(accepted(['bpm']))])
    const seen: string[] = []
    let page = await trackHistory(database, 't', { limit: 3 })
    for (;;) {
      seen.push(...page.events.map(({ at, id }) => `${at} ${id}`))
      if (page.next === undefined) break
      page = await trackHistory(database, 't', { limit: 3, before: page.next })
    }
    const expected = events.map(({ at, id }) => `${at} ${id}`).sort()
    t.same(seen, expected.reverse())
  },
)
