import { randomUUID } from 'node:crypto'
import t from 'tap'
import { jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import type { Cancellations, Cancelled } from '#shared/contracts/api/cancellation.ts'
import type { JobRequest } from '#shared/contracts/api/job.ts'
import { jobId } from '#shared/contracts/names.ts'
import { ended, recordDue } from '../../shared/catalogue/fixture.ts'
import { aJob, post, startApi, until } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())

/** Posts a job until its row is there: no recorder runs here, and ingest does not wait for a slow database. */
async function submitted(over: { request_id?: string; asset_guid?: string } = {}) {
  const names = { request_id: randomUUID(), asset_guid: `track-${randomUUID()}`, ...over }
  await until('its row', async () => {
    const job = aJob({ ...names, derivative_assets: ['bpm', 'key'] })
    t.equal((await post(`${api.url}/v1/jobs`, job)).status, 202)
    const jobs = await jobsOfRequest(api.database, names.request_id)
    return jobs.some(({ track }) => track === names.asset_guid)
  })
  return names
}
const cancel = (request: string, body?: unknown, url = api.url) =>
  body === undefined
    ? fetch(`${url}/v1/jobs/${request}/cancel`, { method: 'POST' })
    : post(`${url}/v1/jobs/${request}/cancel`, body)
const asked = async (query: string, url = api.url) =>
  (await (await fetch(`${url}/v1/cancellations?${query}`)).json()) as Cancellations

t.test('a request is cancelled, with a reason or without a body', async (t) => {
  const first = await submitted()
  const response = await cancel(first.request_id, { reason: 'the wrong masters' })
  t.equal(response.status, 202)
  t.match(await response.json(), {
    ...{
      request_id: first.request_id,
      asset_guid: null,
      by: 'a user of this machine',
      ended: 1,
      left: false,
    },
    ...{ reason: 'the wrong masters', href: `/v1/jobs/${first.request_id}` },
  })
  const state = await fetch(`${api.url}/v1/jobs/${first.request_id}`)
  t.match((await state.json()) as JobRequest, {
    ...{ state: 'cancelled', percent: 100 },
    jobs: [
      {
        ...{ state: 'cancelled', published: null, dead_lettered: false },
        assets: [
          { asset: 'bpm', state: 'cancelled' },
          { asset: 'key', state: 'cancelled' },
        ],
      },
    ],
  })
  const list = await fetch(`${api.url}/v1/tracks?state=cancelled`)
  t.match(await list.json(), { tracks: [{ asset_guid: first.asset_guid, state: 'cancelled' }] })
  t.match(await (await fetch(`${api.url}/v1/board`)).json(), { tracks: { cancelled: 1 } })

  const second = await submitted()
  const once = (await (await cancel(second.request_id.toUpperCase())).json()) as Cancelled
  t.match(once, { ended: 1, reason: null })
  const twice = await cancel(second.request_id)
  t.equal(twice.status, 202, 'asking twice')
  t.match(await twice.json(), {
    number: once.number,
    before: once.before,
    ended: 0,
    left: false,
  })
})

t.test('one track of a request is cancelled, braces or not', async (t) => {
  const { request_id } = await submitted()
  const asset_guid = randomUUID()
  await submitted({ request_id, asset_guid })
  const response = await cancel(request_id, { asset_guid: `{${asset_guid}}` })
  t.match(await response.json(), { asset_guid, ended: 1 })
  const state = await fetch(`${api.url}/v1/jobs/${request_id}`)
  t.match(await state.json(), { state: 'running' })
})

t.test('posted again it is the next run, accepted later than the cancellation', async (t) => {
  const stage = api.received('stage')
  t.teardown(() => stage.close())
  const { request_id, asset_guid } = await submitted()
  const { before } = (await (await cancel(request_id)).json()) as Cancelled
  // As if the clock of the replica that cancelled were ahead.
  const ahead = new Date(Date.parse(before) + 60_000)
  const text = 'update cancellation set before = $1 where id = $2'
  await api.database.query({ text }, [ahead, request_id])
  const again = { request_id, asset_guid, derivative_assets: ['bpm'] }
  // While the database is slow, the cancellation is not found, and a later copy is the first that runs.
  const message = await until('the message', async () => {
    t.equal((await post(`${api.url}/v1/jobs`, again)).status, 202)
    const job = jobId(request_id, asset_guid)
    return stage.all.find(({ body }) => body.run === 2 && body.job === job)
  })
  t.equal(message.body.accepted, new Date(ahead.getTime() + 1).toISOString())
  await until('the row', async () => {
    t.equal((await post(`${api.url}/v1/jobs`, again)).status, 202)
    const [job] = await jobsOfRequest(api.database, request_id)
    return job?.run === 2 && job.state === 'accepted'
  })
  t.notOk(
    stage.all.some(({ body }) => Number(body.run) > 2),
    'a copy is the same run',
  )
})

t.test('every wrong request is refused with a sentence', async (t) => {
  const { request_id, asset_guid } = await submitted()
  const cases: [() => Promise<Response>, number, string, RegExp][] = [
    [() => cancel('nobody'), 404, 'NOT_FOUND', /No job of the request nobody is known/],
    [
      () => cancel(request_id, { asset_guid: 'x' }),
      404,
      'NOT_FOUND',
      /has no job of the track x/,
    ],
    [() => cancel(request_id, { asset_guid: '../x' }), 400, 'BAD_REQUEST', /asset_guid/],
    [() => cancel(request_id, { asset_guid, all: true }), 400, 'BAD_REQUEST', /all/],
    [() => cancel(request_id, { reason: '' }), 400, 'BAD_REQUEST', /reason/],
    [() => cancel(request_id, { reason: 'x'.repeat(1001) }), 400, 'BAD_REQUEST', /reason/],
    [() => cancel(request_id, []), 400, 'BAD_REQUEST', /body/i],
    [() => cancel('x'.repeat(201)), 400, 'BAD_REQUEST', /request_id/],
    [
      () => fetch(`${api.url}/v1/jobs/${request_id}/cancel`),
      ...([405, 'METHOD_NOT_ALLOWED', /POST/] as const),
    ],
    [() => fetch(`${api.url}/v1/cancellations?after=-1`), 400, 'BAD_REQUEST', /after/],
    [() => fetch(`${api.url}/v1/cancellations?wait=26`), 400, 'BAD_REQUEST', /wait/],
    [() => fetch(`${api.url}/v1/cancellations?since=1`), 400, 'BAD_REQUEST', /since/],
  ]
  for (const [send, status, code, detail] of cases) {
    const response = await send()
    const problem = (await response.json()) as { detail: string }
    t.equal(response.status, status, problem.detail)
    t.match(problem, { code, detail })
  }
  const [job] = await jobsOfRequest(api.database, request_id)
  t.match(job, { state: 'accepted' }, 'none of them cancels anything')
  const masters = [`file:///mnt/masters/${asset_guid}.wav`]
  await recordDue(api.database, [
    ended({
      ...{ request: { request_id, asset_guid, derivative_assets: ['bpm', 'key'] }, masters },
      ...{ job: jobId(request_id, asset_guid), run: 1, route: 'cloud', restarts: 0 },
      accepted: job?.accepted.toISOString() ?? '',
    }),
  ])
  const over = await cancel(request_id)
  t.equal(over.status, 409)
  t.match(await over.json(), { code: 'HAS_ENDED', detail: /has ended already/ })
})

t.test('while the catalogue is away, nothing is cancelled, and that is said', async (t) => {
  const away = await api.replica({ dsn: 'postgresql://127.0.0.1:1/none' })
  const { request_id } = await submitted()
  const response = await cancel(request_id, undefined, away.url)
  t.equal(response.status, 503)
  t.match(await response.json(), { code: 'UPSTREAM_DOWN', detail: /ask again/ })
  t.equal((await fetch(`${away.url}/v1/cancellations`)).status, 503)
  t.match(await (await cancel(request_id)).json(), { ended: 1 })
})

t.test('all who wait hear of a cancellation, on every replica', async (t) => {
  const other = await api.replica()
  const { last } = await asked('')
  const { request_id } = await submitted()
  const waiting = [asked(`after=${last}&wait=25`), asked(`after=${last}&wait=25`, other.url)]
  t.same(await asked(`after=${last}`), { cancellations: [], last }, 'without waiting')
  t.same(await asked(`after=${last}&wait=1`), { cancellations: [], last }, 'not in time')
  const { number, before } = (await (await cancel(request_id)).json()) as Cancelled
  const news = {
    cancellations: [{ number, kind: 'request', id: request_id, before }],
    last: number,
  }
  t.same(await Promise.all(waiting), [news, news])
  t.match(await asked(`after=${number + 10}&wait=25`), { cancellations: [], last: number })

  const left = asked(`after=${number}&wait=25`, other.url)
  const gone = new AbortController()
  const given = fetch(`${other.url}/v1/cancellations?after=${number}&wait=25`, gone)
  await asked(`after=${number}`, other.url)
  gone.abort()
  await t.rejects(given)
  await other.close()
  t.match(await left.catch(() => 'cut'), { cancellations: [] }, 'closing answers who waits')
})
