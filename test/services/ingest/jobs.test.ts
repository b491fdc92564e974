import { randomUUID } from 'node:crypto'
import { request } from 'node:http'
import t from 'tap'
import { RunAccepted } from '#shared/contracts/messages/run.ts'
import { aJob, bodyOf, post, raw, startApi, until } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())
const jobs = `${api.url}/v1/jobs`
const stage = api.received('stage')
const elsewhere = api.received('stage-onprem-a')
const events = api.received('events')

const beatport = {
  request_id: 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
  release_id: 4_512_345,
  asset_id: 19_876_543,
  asset_guid: '7c9e6679-7425-40de-944b-e07fc1f90ae7',
  derivative_assets: ['aac-128', 'waveform'],
}

t.test('a job is accepted once Pub/Sub has it, and the response has its address', async (t) => {
  const response = await post(jobs, beatport)
  t.equal(response.status, 202)
  t.equal(response.headers.get('location'), `/v1/jobs/${beatport.request_id}`)
  const { status, ...answer } = await bodyOf(response)
  t.equal(status, 202)
  t.match(answer, { request_id: beatport.request_id, asset_guid: beatport.asset_guid })
  const message = await until('the message', () =>
    stage.all.find(({ body }) => body.job === answer.job),
  )
  const run = RunAccepted.check(message.body)
  t.same(run.request, beatport)
  t.match(message.attributes, { job: answer.job, run: '1', route: 'cloud' })
})

t.test('a job belongs to the trace of its request', async (t) => {
  const traceparent = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`
  const { job } = await bodyOf(post(jobs, aJob(), { traceparent }))
  const { job: other } = await bodyOf(post(jobs, aJob(), { traceparent: 'nonsense' }))
  const stageOf = (id: string) =>
    until('the message', () => stage.all.find(({ body }) => body.job === id))
  t.equal((await stageOf(job)).attributes.traceparent, traceparent)
  t.notOk('traceparent' in (await stageOf(other)).attributes)
})

t.test('the acceptance is an event that carries the request', async (t) => {
  const job = aJob()
  const { job: id } = await bodyOf(post(jobs, job))
  const event = await until('the event', () =>
    events.all
      .flatMap(({ body }) => body.events as object[])
      .find((each) => 'job' in each && each.job === id),
  )
  t.match(event, { step: 'ingest', verdict: 'accepted', run: 1, route: 'cloud', attempt: 1 })
  t.match(event, { track: 'track-1', request: job })
})

t.test('a GET after the 202 finds the job, as soon as it has a row', async (t) => {
  const job = aJob()
  const { href, job: id } = await bodyOf(post(jobs, job))
  let posts = 0
  const response = await until('the row', async () => {
    // No recorder runs here. If the database was too slow for a row, the next post writes it.
    if (posts++ > 0) await post(jobs, job)
    const found = await fetch(`${api.url}${href}`)
    return found.status === 200 ? found : undefined
  })
  t.match(await response.json(), {
    request_id: job.request_id,
    state: 'accepted',
    jobs: [
      { job: id, state: 'accepted', run: 1, assets: [{ asset: 'bpm', state: 'pending' }] },
    ],
  })
})

t.test('a job without a request_id gets one; without assets all available ones', async (t) => {
  const answer = await bodyOf(post(jobs, { asset_guid: 'track-2' }))
  t.match(answer.request_id, /^[0-9a-f-]{36}$/)
  t.strictSame([...answer.derivative_assets].sort(), [
    'aac-128',
    'bpm',
    'flac',
    'key',
    'loudness',
    'mp3-128',
    'mp3-320',
    'preview',
    'waveform',
  ])
})

t.test('the same job posted again is the same job', async (t) => {
  const job = aJob()
  const first = await bodyOf(post(jobs, job))
  const second = await bodyOf(post(jobs, job))
  t.strictSame(first, second)
  const found = await until('the row', async () => {
    await post(jobs, job)
    const { jobs: rows } = await bodyOf(fetch(`${jobs}/${job.request_id}`))
    return rows
  })
  t.equal(found.length, 1)
})

t.test('a job with a site takes that route', async (t) => {
  const { job, route } = await bodyOf(post(jobs, aJob({ site: 'onprem-a' })))
  t.equal(route, 'onprem-a')
  await until('the message', () => elsewhere.all.find(({ body }) => body.job === job))
})

t.test('of an array each item has a result, in order', async (t) => {
  const request_id = randomUUID()
  const items = [
    aJob({ request_id, asset_guid: 'a' }),
    { derivative_assets: ['bpm'] },
    aJob({ request_id, asset_guid: 'b' }),
    'what',
  ]
  const response = await post(jobs, items)
  t.equal(response.status, 202)
  const { results } = await bodyOf(response)
  t.match(results, [
    { status: 202, asset_guid: 'a' },
    { status: 422, code: 'NO_TRACK', at: '/1/asset_guid' },
    { status: 202, asset_guid: 'b' },
    { status: 422, code: 'NOT_AN_ENCODE_JOB', at: '/3' },
  ])
  await until('the rows', async () => {
    await post(jobs, items)
    const { jobs: rows } = await bodyOf(fetch(`${jobs}/${request_id}`))
    return rows?.length === 2 && rows[0]?.asset_guid === 'a' && rows[1]?.asset_guid === 'b'
  })
})

t.test('a client that asks before it sends learns that it may go on, or why not', async (t) => {
  const body = JSON.stringify(aJob())
  const ask = (type: string, path = '/v1/jobs') =>
    new Promise<{ status: number; asked: boolean }>((resolve, reject) => {
      let asked = false
      const headers = {
        ...{ expect: '100-continue', 'content-type': type },
        'content-length': path === '/v1/jobs' ? body.length : 10 ** 12,
      }
      const sending = request(`${api.url}${path}`, {
        method: path === '/v1/jobs' ? 'POST' : 'PUT',
        headers,
      })
      sending.on('continue', () => {
        asked = true
        sending.end(body)
      })
      sending.on('response', (response) => {
        response.resume()
        resolve({ status: response.statusCode ?? 0, asked })
        sending.destroy()
      })
      sending.on('error', reject)
      sending.flushHeaders()
    })
  t.strictSame(await ask('application/json'), { status: 202, asked: true })
  t.strictSame(await ask('audio/wav', '/v1/masters/a'), { status: 413, asked: false })
})

t.test('a database that is away delays nothing but the row', async (t) => {
  const away = await api.replica({ dsn: 'postgresql://nobody@127.0.0.1:9/none' })
  const job = aJob()
  for (let count = 0; count < 20; count++) {
    t.equal((await post(`${away.url}/v1/jobs`, job)).status, 202)
  }
  const read = await fetch(`${away.url}/v1/jobs/${job.request_id}`)
  t.equal(read.status, 503)
  t.match(await read.json(), { code: 'UPSTREAM_DOWN', detail: /catalogue/ })
  const ready = await fetch(`${away.url}/readyz`)
  t.equal(ready.status, 200)
  t.strictSame(await ready.json(), { accepting: true, reading: false })
})

t.test('what Pub/Sub did not take is not accepted', async (t) => {
  const failing = await api.replica({
    events: { report: async () => Promise.reject(new Error('the link is down')) },
  })
  const response = await post(`${failing.url}/v1/jobs`, aJob())
  t.equal(response.status, 503)
  t.match(await response.json(), { code: 'UPSTREAM_DOWN', detail: /the link is down/ })
})

t.test('a service that is not ready says so', async (t) => {
  const stopping = await api.replica({ unready: () => 'stopping' })
  const response = await fetch(`${stopping.url}/readyz`)
  t.equal(response.status, 503)
  t.match(await response.json(), { accepting: false, reason: 'stopping' })
  t.equal(response.headers.get('connection'), 'close')
})

t.test('requests may follow one another on a connection without waiting', async (t) => {
  const head = 'GET /healthz HTTP/1.1\r\nhost: localhost\r\n'
  const answers = await raw(api.port, `${head}\r\n${head}connection: close\r\n\r\n`)
  t.equal(answers.match(/HTTP\/1.1 200 OK/g)?.length, 2)
})

t.test('what is measured can be read', async (t) => {
  const text = await (await fetch(`${api.url}/metrics`)).text()
  t.match(
    text,
    /http_server_request_duration_seconds_count\{.*http_route="\/v1\/jobs".*status_code="202"/,
  )
})
