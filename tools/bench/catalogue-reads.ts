import { askedTracks } from '#shared/catalogue/campaigns/asked-tracks.ts'
import {
  budgetsOfRunning,
  dueForecasts,
  meanSecondsAt,
  sampleOf,
  samplePlaces,
} from '#shared/catalogue/campaigns/forecast-campaign.ts'
import {
  campaignRefusals,
  findCampaign,
  listCampaigns,
} from '#shared/catalogue/campaigns/read-campaigns.ts'
import {
  holdRunning,
  nextItems,
  readRunning,
} from '#shared/catalogue/campaigns/release-campaign.ts'
import { atOnce, type Database } from '#shared/catalogue/database.ts'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { readBoard } from '#shared/catalogue/figures/board.ts'
import { readCosts } from '#shared/catalogue/figures/costs.ts'
import { readKpis } from '#shared/catalogue/figures/kpis.ts'
import { readStale } from '#shared/catalogue/figures/stale.ts'
import { openCancellations } from '#shared/catalogue/jobs/cancel-jobs.ts'
import { cancellationsAfter, earlierJobs } from '#shared/catalogue/jobs/read-cancellations.ts'
import { jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import { countLetters, listLetters } from '#shared/catalogue/letters/read-letters.ts'
import {
  findRelease,
  listReleases,
  releaseTracks,
} from '#shared/catalogue/releases/read-releases.ts'
import {
  changedTracks,
  listedTrack,
  listTracks,
  type TrackCursor,
} from '#shared/catalogue/tracks/list-tracks.ts'
import { findTrack } from '#shared/catalogue/tracks/read-tracks.ts'
import type { TrackFilter } from '#shared/catalogue/tracks/track-filter.ts'

/** Filters of lists, by what they look for: what many tracks have, what few have, and what none has. */
const FILTERS: Readonly<Record<string, TrackFilter>> = {
  'no filter': {},
  '120 to 128 BPM': { bpmFrom: 120, bpmTo: 128 },
  '61 to 61.2 BPM': { bpmFrom: 61, bpmTo: 61.2 },
  '300 BPM, which none has': { bpmFrom: 300 },
  'a sure tempo': { bpmConfidenceFrom: 0.9995 },
  'a sure key': { keyConfidenceFrom: 0.9995 },
  'longer than an hour': { secondsFrom: 3600 },
  'three to four minutes': { secondsFrom: 180, secondsTo: 240 },
  '8A': { camelot: ['8A'] },
  '8A and its neighbours': { camelot: ['8A', '8B', '7A', '9A'] },
  '8A at 61 BPM': { camelot: ['8A'], bpmFrom: 61, bpmTo: 61.2 },
  '8A at 120 to 128 BPM, likely': {
    camelot: ['8A'],
    bpmFrom: 120,
    bpmTo: 128,
    bpmConfidenceFrom: 0.5,
  },
  'a key that none has': { camelot: ['14A'] },
  done: { state: 'done' },
  running: { state: 'running' },
  'failed, in 8A': { state: 'failed', camelot: ['8A'] },
  'an asset that all have': { asset: 'key' },
  'an asset that few have': { asset: 'flac' },
  'an asset that none has': { asset: 'none' },
  'stale bpm, the oldest hundredth': { stale: { asset: 'bpm', version: 3 } },
  'stale bpm at 120 to 128 BPM': {
    stale: { asset: 'bpm', version: 3 },
    bpmFrom: 120,
    bpmTo: 128,
  },
  'stale key, which is all': { stale: { asset: 'key', version: 2 } },
  'lacks waveform, which few do': { lacks: { asset: 'waveform', version: 1 } },
  'lacks flac, which nearly all do': { lacks: { asset: 'flac', version: 1 } },
  'a warning': { warning: 'CUT_SHORT' },
  'a warning that none has': { warning: 'SILENT' },
  warned: { isWarned: true },
  'not warned': { isWarned: false },
  'the beginning of a guid': { q: 'c4ca4238' },
  'the first letter of a guid': { q: 'c' },
  'a word that many have': { q: 'loren' },
  'a word that some have': { q: 'tomket' },
  'two words': { q: 'loren mitus' },
  'a word that none has': { q: 'zzyzx' },
  'a word that none has, in 8A': { q: 'zzyzx', camelot: ['8A'] },
}

/** What is known of a filled catalogue. */
interface Known {
  /** A track, its job and the request of that. */
  readonly guid: string
  readonly job: string
  readonly request: string
  /** Where half of all tracks are later, and where a quarter is, µs since 1970. */
  readonly halfUs: number
  readonly quarterUs: number
}

export async function readKnown(database: Database): Promise<Known> {
  const text = `
    select asset_guid as guid, job, request_id as request, half as "halfUs", quarter as "quarterUs"
    from track_listing, (
      select (extract(epoch from last - (last - first) / 2) * 1e6)::bigint as half,
        (extract(epoch from last - (last - first) / 4) * 1e6)::bigint as quarter
      from (select min(updated_at) as first, max(updated_at) as last from track_listing) ends
    ) places
    order by updated_at desc offset 1000 limit 1`
  const [known] = await database.query<Known>({ text })
  if (known === undefined) throw new Error('the catalogue is empty')
  return known
}

function read(name: string, of: (database: Database) => Promise<unknown>) {
  return { name, of }
}

/** Every read of the API, by what it is. */
export function readsOf({ guid, job, request, halfUs, quarterUs }: Known) {
  const hours = (count: number) => new Date(Date.now() - count * 3600_000)
  const lists = Object.entries(FILTERS).flatMap(([name, filter]) => [
    read(`list: ${name}`, (database) => listTracks(database, filter, { limit: 100 })),
    read(`a later page: ${name}`, (database) =>
      laterPage(database, filter, (Date.now() - 1000) * 1000, halfUs),
    ),
    read(`since a quarter has changed: ${name}`, (database) =>
      laterPage(database, filter, quarterUs, halfUs),
    ),
  ])
  return [
    ...lists,
    read('changed tracks', (database) => changedTracks(database, undefined, 1000)),
    read('a track as listed', (database) => listedTrack(database, guid)),
    read('a track', (database) => findTrack(database, guid)),
    read('its history', (database) => trackHistory(database, guid, { limit: 100 })),
    read('its later history', (database) =>
      trackHistory(database, guid, {
        limit: 100,
        before: { at: hours(1).toISOString(), id: crypto.randomUUID() },
      }),
    ),
    read('a request', (database) => jobsOfRequest(database, request)),
    read('what requests said', (database) =>
      earlierJobs(database, [
        { job, request: { request_id: request } },
        { job: 'unknown', request: { request_id: request, release_id: 7 } },
      ]),
    ),
    read('cancellations', (database) => cancellationsAfter(database, 0, 1000)),
    read('cancellations under way', (database) => openCancellations(database)),
    read('the board', (database) => readBoard(database)),
    read('figures of 15 minutes', (database) => readKpis(database, hours(0.25), hours(0))),
    read('figures of 28 days', (database) => readKpis(database, hours(28 * 24), hours(0))),
    read('versions', (database) => readStale(database, [{ asset: 'bpm', version: 3 }])),
    read('open letters', (database) => listLetters(database, 'open', {}, { limit: 100 })),
    read('letters of a track', (database) =>
      listLetters(database, 'all', { track: guid }, { limit: 100 }),
    ),
    read('letters counted', (database) => countLetters(database, {})),
    ...campaignReads(),
    ...releaseReads(),
  ]
}

/** What is read of releases. `fillCatalogue` has made the release 1 of a tenth of all tracks. */
function releaseReads() {
  const hours = (count: number) => new Date(Date.now() - count * 3600_000)
  return [
    read('releases', (database) => listReleases(database, { limit: 100 })),
    read('releases of an hour ago', (database) =>
      listReleases(database, { limit: 100, after: { changed: hours(1), release: 7 } }),
    ),
    read('releases that are partial', (database) =>
      listReleases(database, { limit: 100, state: 'partial' }),
    ),
    read('releases that were cancelled, which none was', (database) =>
      listReleases(database, { limit: 100, state: 'cancelled' }),
    ),
    read('a release', (database) => findRelease(database, 2000)),
    read('its tracks', (database) => releaseTracks(database, 2000, { limit: 100 })),
    read('a very large release', (database) => findRelease(database, 1)),
    read('its tracks from the middle', (database) =>
      releaseTracks(database, 1, { limit: 100, after: '8' }),
    ),
  ]
}

/** What is read of campaigns, by the API and by those who work on them. `fillCatalogue` has made the campaign 300. */
function campaignReads() {
  const [number, id] = [300, 'campaign-300']
  const day = (daysAgo: number) =>
    new Date(Date.now() - daysAgo * 86_400_000).toISOString().slice(0, 10)
  const asked = { filter: {}, stale: [{ asset: 'bpm', version: 3 }], lacks: [] }
  return [
    read('campaigns', (database) => listCampaigns(database, { limit: 100 })),
    read('a campaign', (database) => findCampaign(database, id)),
    read('what it refused', (database) => campaignRefusals(database, number, { limit: 100 })),
    read('what is to be released', async (database) => {
      await readRunning(database)
      const held = await holdRunning(atOnce(database), number)
      if (held === undefined) throw new Error('the campaign does not run')
      return await nextItems(atOnce(database), held, 500)
    }),
    read('a sample of it', (database) => sampleOf(atOnce(database), id, 200)),
    read('how long its tracks are', (database) =>
      meanSecondsAt(atOnce(database), number, samplePlaces(id, 20_000, 200)),
    ),
    read('forecasts that are due', (database) => dueForecasts(database)),
    read('budgets', (database) => budgetsOfRunning(database)),
    read('tracks that a question names', (database) =>
      askedTracks(atOnce(database), asked, '8', 1000),
    ),
    ...(['tenant', 'asset', 'campaign', 'route'] as const).map((by) =>
      read(`costs of 28 days by ${by}`, (database) =>
        readCosts(database, by, { from: day(27), to: day(0) }),
      ),
    ),
  ]
}

/** A page in the middle, as of a first page. */
async function laterPage(
  database: Database,
  filter: TrackFilter,
  asOfUs: number,
  placeUs: number,
): Promise<unknown> {
  const after: TrackCursor = { asOfUs, placeUs, track: 'm' }
  return listTracks(database, filter, { limit: 100, after })
}
