import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import type { Database } from '#shared/catalogue/database.ts'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { changedTracks, listedTrack, listTracks } from '#shared/catalogue/tracks/list-tracks.ts'
import type { TrackFilter } from '#shared/catalogue/tracks/track-filter.ts'
import type { Verdict } from '#shared/contracts/messages/run.ts'
import {
  accepted,
  again,
  catalogues,
  ended,
  event,
  failed,
  made,
  recordDue,
} from './fixture.ts'

const fresh = await catalogues(t)

/** A track as lists show it, with its assets beside the rest. */
async function lineOf(database: Database, track: string) {
  const { assets, ...line } = (await listedTrack(database, track))?.line ?? {}
  return { ...line, ...assets }
}

t.test('a track is listed from its acceptance on, as its latest job stands', async (t) => {
  const { database } = await fresh()
  const run = accepted(['bpm', 'key'], { track: 't' })
  await acceptJobs(database, [run])
  const empty = { made: [], failed: [], pending: ['bpm', 'key'] }
  const { request_id } = run.request
  t.match(await lineOf(database, 't'), {
    ...{
      state: 'running',
      request_id: request_id,
      seconds: undefined,
      bpm: undefined,
      ...empty,
    },
  })
  await recordRuns(database, [ended(run, { bpm: tempo(128.01), key: failed() })])
  const partial = { state: 'partial', made: ['bpm'], failed: ['key'], pending: [], bpm: 128.01 }
  t.match(await lineOf(database, 't'), { ...partial, seconds: 10 })

  const redriven = again(run, { run: 2 }, ['key'])
  await acceptJobs(database, [redriven])
  t.match(await lineOf(database, 't'), {
    ...{ state: 'running', made: ['bpm'], failed: [], pending: ['key'], bpm: 128.01 },
  })
  await recordRuns(database, [ended(redriven, { key: inKey('A minor', '8A') })])
  t.match(await lineOf(database, 't'), {
    ...{ state: 'done', made: ['bpm', 'key'], key: 'A minor', camelot: '8A' },
  })

  const another = accepted(['loudness'], { track: 't', accepted: '2026-03-02T10:00:00.000Z' })
  await acceptJobs(database, [another])
  const older = accepted(['flac'], { track: 't', accepted: '2026-02-01T10:00:00.000Z' })
  await recordRuns(database, [ended(older)])
  t.match(await lineOf(database, 't'), {
    ...{ state: 'running', request_id: another.request.request_id, pending: ['loudness'] },
    made: ['bpm', 'flac', 'key'],
  })
  t.equal(await listedTrack(database, 'nobody'), undefined)
})

t.test('a job that lies with the dead letters has failed', async (t) => {
  const { database } = await fresh()
  const run = accepted(['bpm'], { track: 't' })
  await acceptJobs(database, [run])
  await recordEvents(database, [event(run, { verdict: 'dead-lettered' })])
  t.match(await lineOf(database, 't'), { state: 'failed', failed: ['bpm'], pending: [] })
  await acceptJobs(database, [again(run, { run: 2 })])
  t.match(await lineOf(database, 't'), { state: 'running', failed: [], pending: ['bpm'] })
})

t.test('a result of any kind is recorded, and listed as far as it makes sense', async (t) => {
  const { database } = await fresh()
  const strange = [null, 7, 'x', [], {}, { bpm: 'fast', confidence: [] }, { bpm: null }]
  for (const [index, result] of strange.entries()) {
    const track = `t${index}`
    const verdict = { ...made('x'), result } as Verdict
    const assets = { bpm: verdict, key: verdict, loudness: verdict }
    await recordRuns(database, [ended(accepted(Object.keys(assets), { track }), assets)])
    t.match(await lineOf(database, track), {
      state: 'done',
      bpm: undefined,
      loudness_lufs: undefined,
    })
  }
})

t.test('each filter lets through what it says', async (t) => {
  const { database } = await fresh()
  const run = async (track: string, verdicts: Record<string, Verdict>, names = {}) => {
    const job = accepted(Object.keys(verdicts), { track })
    const request = { ...job.request, ...names }
    await recordRuns(database, [ended({ ...job, request }, verdicts)])
  }
  await run('slow', { bpm: tempo(90.5), key: inKey('A minor', '8A') }, { title: 'Night Bus' })
  await run('quick', { bpm: tempo(174), key: inKey('C major', '8B') }, { artist: 'Ólafur Bus' })
  await run('quicker', { bpm: tempo(175), 'aac-128': made('x') }, { title: 'AC/DC_live.mp3' })
  await run('broken', { bpm: failed() })
  await acceptJobs(database, [accepted(['bpm'], { track: 'waiting' })])

  const found = async (filter: TrackFilter) =>
    (await listTracks(database, filter, { limit: 10 })).tracks
      .map(({ line }) => line.asset_guid)
      .sort()
  t.same(await found({}), ['broken', 'quick', 'quicker', 'slow', 'waiting'])
  t.same(await found({ bpmFrom: 174 }), ['quick', 'quicker'])
  t.same(await found({ bpmTo: 174 }), ['quick', 'slow'])
  t.same(await found({ bpmFrom: 90.5, bpmTo: 90.5 }), ['slow'])
  t.same(await found({ camelot: ['8A'] }), ['slow'])
  t.same(await found({ camelot: ['8A', '8B'] }), ['quick', 'slow'])
  t.same(await found({ secondsFrom: 10, secondsTo: 10 }), [
    'broken',
    'quick',
    'quicker',
    'slow',
  ])
  t.same(await found({ secondsFrom: 10.1 }), [])
  t.same(await found({ secondsTo: 0 }), [])
  t.same(await found({ asset: 'aac-128' }), ['quicker'])
  t.same(await found({ asset: 'bpm' }), ['quick', 'quicker', 'slow'])
  t.same(await found({ state: 'failed' }), ['broken'])
  t.same(await found({ state: 'running' }), ['waiting'])
  t.same(await found({ q: 'quick' }), ['quick', 'quicker'])
  t.same(await found({ q: 'bus' }), ['quick', 'slow'])
  t.same(await found({ q: 'bu NIGHT' }), ['slow'])
  t.same(await found({ q: 'ólaf bus' }), ['quick'])
  t.same(await found({ q: 'day bus' }), [])
  t.same(await found({ q: 'dc live mp3' }), ['quicker'])
  t.same(await found({ q: 'AC/DC' }), ['quicker'])
  t.same(await found({ q: "%' & | !:*\\ (" }), [])
  t.same(await found({ q: '\0' }), [])
  t.same(await found({ q: 'quick', bpmFrom: 175, state: 'done' }), ['quicker'])
})

t.test('a track is found by the name that it has now', async (t) => {
  const { database } = await fresh()
  const requestId = randomUUID()
  const named = (title: string) => {
    const run = accepted(['bpm'], { track: 't', requestId })
    return ended({ ...run, request: { ...run.request, title } })
  }
  const found = async (q: string) =>
    (await listTracks(database, { q }, { limit: 10 })).tracks.length
  await recordDue(database, [named('Night Bus')])
  t.equal(await found('night'), 1)
  // The same job once more: nothing of it is new but the name.
  await recordDue(database, [named('Day Boat')])
  t.same([await found('night'), await found('boat')], [0, 1])
})

t.test('all pages have each track once, however they change meanwhile', async (t) => {
  for (const filter of [{}, { q: 'same' }, { asset: 'bpm' }, { bpmFrom: 100 }] as const)
    await t.test(JSON.stringify(filter), (t) => paged(t, filter))
})

async function paged(t: Test, filter: TrackFilter): Promise<void> {
  const { database } = await fresh()
  const tracks = Array.from({ length: 40 }, (_, index) => `t${index}`)
  const runs = tracks.map((track) => {
    const run = accepted(['bpm'], { track })
    return { ...run, request: { ...run.request, title: 'Same' } }
  })
  const recorded = (some: typeof runs, revision?: string) =>
    recordRuns(
      database,
      some.map((run) => ended(run, { bpm: tempo(128) }, revision)),
    )
  await recorded(runs)
  const seen: string[] = []
  let round = 0
  let page = await listTracks(database, filter, { limit: 7 })
  for (;;) {
    seen.push(...page.tracks.map(({ line }) => line.asset_guid))
    if (page.next === undefined) break
    round++
    // Tracks that were seen and tracks that were not end, are asked for again, and again; others come.
    const some = runs.filter((_, index) => index % 3 === round % 3)
    await recorded(some, `f0${round}`)
    await acceptJobs(
      database,
      some.map((run) => again(run, { run: round + 1 })),
    )
    await acceptJobs(database, [accepted(['bpm'])])
    page = await listTracks(database, filter, { limit: 7, after: page.next })
  }
  t.same(seen.toSorted(), tracks.toSorted())
  t.ok(round >= 5)
  t.same(await everything(database), tracks.length + round)
}

t.test('changed tracks are listed in the order of their changes', async (t) => {
  const { database } = await fresh()
  const runs = ['a', 'b', 'c'].map((track) => accepted(['bpm'], { track }))
  for (const run of runs) await acceptJobs(database, [run])
  const before = (await listedTrack(database, 'c'))?.updatedUs ?? 0
  t.same(await changedTracks(database, before, 10), [])
  for (const run of [runs[1], runs[0]]) if (run) await recordDue(database, [ended(run)])
  const changed = await changedTracks(database, before, 10)
  t.match(changed, [
    { line: { asset_guid: 'b', state: 'done' } },
    { line: { asset_guid: 'a', state: 'done' } },
  ])
  t.equal((await changedTracks(database, undefined, 2)).length, 2, 'in the last two seconds')
})

async function everything(database: Database): Promise<number> {
  return (await listTracks(database, {}, { limit: 1000 })).tracks.length
}

function tempo(bpm: number): Verdict {
  return { ...made('x'), result: { bpm, confidence: 0.9 } } as Verdict
}

function inKey(key: string, camelot: string): Verdict {
  return { ...made('x'), result: { key, camelot } } as Verdict
}
