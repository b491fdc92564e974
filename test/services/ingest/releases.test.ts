import { randomInt, randomUUID } from 'node:crypto'
import t from 'tap'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { findRelease } from '#shared/catalogue/releases/read-releases.ts'
import type { Cancellations } from '#shared/contracts/api/cancellation.ts'
import type {
  ReleaseCancelled,
  ReleaseDetail,
  ReleasePage,
} from '#shared/contracts/api/release.ts'
import { accepted, ended } from '../../shared/catalogue/fixture.ts'
import { aJob, post, startApi, until } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())

const newRelease = () => randomInt(1, 2 ** 47)
const get = async <T>(path: string) => (await (await fetch(api.url + path)).json()) as T
const cancel = (release: number | string, body?: unknown, url = api.url) =>
  body === undefined
    ? fetch(`${url}/v1/releases/${release}/cancel`, { method: 'POST' })
    : post(`${url}/v1/releases/${release}/cancel`, body)

/** Posts a job until its row is there: no recorder runs here, and ingest does not wait for a slow database. */
async function submitted(release_id: number, asset_guid = `track-${randomUUID()}`) {
  const request_id = randomUUID()
  await until('its row', async () => {
    const job = aJob({ request_id, asset_guid, release_id })
    t.equal((await post(`${api.url}/v1/jobs`, job)).status, 202)
    return (await jobsOfRequest(api.database, request_id)).length > 0
  })
  return { request_id, asset_guid }
}

/** Jobs of a release by the catalogue alone. */
async function recorded(release: number, count: number) {
  const runs = Array.from({ length: count }, (_, n) => {
    const run = accepted(['bpm'], { track: `${n}-of-${release}` })
    return { ...run, request: { ...run.request, release_id: release } }
  })
  await acceptJobs(api.database, runs)
  return runs
}

t.test('a release is shown with its tracks, from the first job that names it', async (t) => {
  const release = -newRelease()
  const job = await submitted(release)
  const other = await submitted(release)
  const [older, newer] = [job, other].sort((a, b) => (a.asset_guid < b.asset_guid ? -1 : 1))
  const shown = await get<ReleaseDetail>(`/v1/releases/${release}`)
  t.match(shown, {
    ...{ release_id: release, state: 'running', more: false, next: null },
    counts: { running: 2, done: 0, partial: 0, failed: 0, cancelled: 0 },
    ...{ first_seen: /Z$/, changed: /Z$/, href: `/v1/releases/${release}` },
    tracks: [
      {
        ...{ asset_guid: older?.asset_guid, request_id: older?.request_id, state: 'running' },
        href: `/v1/tracks/${older?.asset_guid}`,
      },
      { asset_guid: newer?.asset_guid },
    ],
  })
  t.notOk('title' in (shown.tracks[0] ?? {}))
  t.match(await get(`/v1/releases?limit=1`), { releases: [{ release_id: release }] })
})

t.test('lists and tracks come in pages', async (t) => {
  const releases = [newRelease(), newRelease(), newRelease()]
  for (const release of releases) {
    const runs = await recorded(release, 5)
    if (release === releases[1])
      await recordRuns(
        api.database,
        runs.map((run) => ended(run)),
      )
  }
  const seen: number[] = []
  let next: string | null = '/v1/releases?limit=2&state=running'
  while (next !== null) {
    const page: ReleasePage = await get(next)
    t.ok(page.releases.every(({ state }) => state === 'running'))
    seen.push(...page.releases.map(({ release_id }) => release_id))
    next = page.next
  }
  t.same(
    seen.filter((release) => releases.includes(release)),
    [releases[2], releases[0]],
  )
  const guids: string[] = []
  next = `/v1/releases/${releases[1]}?limit=2`
  while (next !== null) {
    const page: ReleaseDetail = await get(next)
    t.match(page, { state: 'done', counts: { done: 5 } })
    guids.push(...page.tracks.map(({ asset_guid }) => asset_guid))
    next = page.next
  }
  t.same(
    guids,
    [0, 1, 2, 3, 4].map((n) => `${n}-of-${releases[1]}`),
  )
})

t.test('a release is cancelled, with all of its thousands of jobs', async (t) => {
  const release = newRelease()
  const { request_id } = await submitted(release)
  await recorded(release, 3000)
  const { last } = await get<Cancellations>('/v1/cancellations')
  const waiting = get<Cancellations>(`/v1/cancellations?after=${last}&wait=25`)
  const response = await cancel(release, { reason: 'the wrong masters' })
  t.equal(response.status, 202)
  const said = (await response.json()) as ReleaseCancelled
  t.match(said, {
    ...{ release_id: release, by: 'a user of this machine', reason: 'the wrong masters' },
    href: `/v1/releases/${release}`,
  })
  t.match(await waiting, {
    cancellations: [
      { number: said.number, kind: 'release', id: `${release}`, before: said.before },
    ],
  })
  // A crowded machine may need longer than the three seconds of a request.
  let { ended: all, left } = said
  while (left) {
    const more = (await (await cancel(release)).json()) as ReleaseCancelled
    all += more.ended
    left = more.left
  }
  t.equal(all, 3001)
  t.match(await get(`/v1/releases/${release}`), {
    ...{ state: 'cancelled', counts: { cancelled: 3001 } },
  })
  t.match(await get(`/v1/jobs/${request_id}`), { state: 'cancelled' })
  const again = await cancel(release)
  t.equal(again.status, 202)
  t.match(await again.json(), { number: said.number, ended: 0, left: false })

  const later = await submitted(release)
  t.match(
    await get(`/v1/jobs/${later.request_id}`),
    { state: 'accepted' },
    'what is asked for afterwards is not cancelled',
  )
  t.match(await (await cancel(release)).json(), { ended: 1 })
})

t.test('every wrong request is refused with a sentence', async (t) => {
  const release = newRelease()
  const runs = await recorded(release, 1)
  const at = (path: string) => fetch(`${api.url}/v1/releases${path}`)
  const cases: [() => Promise<Response>, number, string, RegExp][] = [
    [() => at('/7'), 404, 'NOT_FOUND', /There is no release 7/],
    [() => cancel(7), 404, 'NOT_FOUND', /There is no release 7/],
    [() => at('/x'), 400, 'BAD_REQUEST', /release_id/],
    [() => at('/07'), 400, 'BAD_REQUEST', /release_id/],
    [() => at('/1e3'), 400, 'BAD_REQUEST', /release_id/],
    [() => at('/9007199254740993'), 400, 'BAD_REQUEST', /whole number up to/],
    [() => cancel('9007199254740993'), 400, 'BAD_REQUEST', /whole number up to/],
    [() => at(`/${release}?page=../x`), 400, 'BAD_REQUEST', /page/],
    [() => at('?page=7'), 400, 'BAD_REQUEST', /page/],
    [() => at('?state=queued'), 400, 'BAD_REQUEST', /state/],
    [() => cancel(release, { asset_guid: 'x' }), 400, 'BAD_REQUEST', /asset_guid/],
    [() => cancel(release, { reason: '' }), 400, 'BAD_REQUEST', /reason/],
    [() => at(`/${release}/cancel`), 405, 'METHOD_NOT_ALLOWED', /POST/],
  ]
  for (const [send, status, code, detail] of cases) {
    const response = await send()
    const problem = (await response.json()) as { detail: string }
    t.equal(response.status, status, problem.detail)
    t.match(problem, { code, detail })
  }
  t.match(await findRelease(api.database, release), { state: 'running' })
  await recordRuns(
    api.database,
    runs.map((run) => ended(run)),
  )
  const over = await cancel(release)
  t.equal(over.status, 409)
  t.match(await over.json(), { code: 'HAS_ENDED', detail: /has ended already/ })
  const away = await api.replica({ dsn: 'postgresql://127.0.0.1:1/none' })
  for (const path of ['', '/7'])
    t.equal((await fetch(`${away.url}/v1/releases${path}`)).status, 503)
  t.equal((await cancel(release, {}, away.url)).status, 503)
})
