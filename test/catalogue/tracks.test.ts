import t from 'tap'
import { accepted, again, catalogues, ended, event, failed, made } from './fixture.ts'

const fresh = await catalogues(t)

t.test('a track has its master and the assets of its current revision', async (t) => {
  const { catalogue } = await fresh(t)
  const run = accepted(['bpm', 'key'])
  const track = run.request.asset_guid
  t.equal(await catalogue.track(track), undefined)
  await catalogue.recordRuns([ended(run, { key: failed() })])
  t.match(await catalogue.track(track), {
    ...{ track, revision: 'f01' },
    master: { uri: `file:///masters/${track}.wav`, samples: 441_000 },
    assets: [
      { asset: 'bpm', version: 1, state: 'made', files: { json: 120 } },
      { asset: 'key', version: 1, state: 'failed', code: 'RENDER_FAILED' },
    ],
  })
})

t.test('the latest accepted job decides the revision, whichever ends last', async (t) => {
  const { catalogue } = await fresh(t)
  const old = accepted(['bpm'], { track: 't', accepted: '2026-03-01T10:00:00Z' })
  const young = accepted(['key'], { track: 't', accepted: '2026-03-02T10:00:00Z' })
  await catalogue.recordRuns([ended(young, {}, 'f02')])
  await catalogue.recordRuns([ended(old, {}, 'f01')])
  t.match(await catalogue.track('t'), { revision: 'f02', assets: [{ asset: 'key' }] })
})

t.test('each verdict says which revision it is of', async (t) => {
  const { catalogue } = await fresh(t)
  const run = accepted(['bpm'])
  await catalogue.recordRuns([ended(run, {}, 'f01')])
  const wider = again(run, { accepted: '2026-03-02T10:00:00Z' }, ['key'])
  const [announcement] = await catalogue.recordRuns([ended(wider, {}, 'f02')])
  t.match(announcement, {
    revision: 'f02',
    verdicts: { bpm: { revision: 'f01' }, key: { revision: 'f02' } },
  })
})

t.test('results are found for what was made, and for nothing else', async (t) => {
  const { catalogue } = await fresh(t)
  const run = accepted(['bpm', 'key'], { track: 't' })
  await catalogue.recordRuns([ended(run, { bpm: made('two', 2), key: failed() })])
  const wanted = [
    { asset: 'bpm', version: 1 },
    { asset: 'bpm', version: 2 },
    { asset: 'key', version: 1 },
  ]
  t.same(await catalogue.assetResults('t', 'f01', wanted), [
    {
      ...{ track: 't', revision: 'f01', asset: 'bpm', version: 2 },
      ...{ files: { json: 120 }, result: { of: 'two' } },
    },
  ])
  t.same(await catalogue.assetResults('t', 'f02', wanted), [])
  t.same(await catalogue.assetResults('t', 'f01', []), [])
})

t.test(
  'a history is read page by page, the latest first, equal instants included',
  async (t) => {
    const { catalogue } = await fresh(t)
    const run = accepted(['bpm'], { track: 't' })
    const events = Array.from({ length: 7 }, (_, index) =>
      event(run, { at: `2026-03-01T10:00:0${Math.floor(index / 3)}.123Z` }),
    )
    await catalogue.recordEvents(events)
    await catalogue.recordEvents([event(accepted(['bpm']))])
    const seen: string[] = []
    let page = await catalogue.trackHistory('t', { limit: 3 })
    for (;;) {
      seen.push(...page.events.map(({ at, id }) => `${at} ${id}`))
      if (page.next === undefined) break
      page = await catalogue.trackHistory('t', { limit: 3, before: page.next })
    }
    const expected = events.map(({ at, id }) => `${at} ${id}`).sort()
    t.same(seen, expected.reverse())
  },
)
