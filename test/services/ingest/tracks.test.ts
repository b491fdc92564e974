import { randomBytes, randomUUID } from 'node:crypto'
import t from 'tap'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import type { RunEnded } from '#shared/contracts/messages/run.ts'
import { assetName, jobId, type Revision } from '#shared/contracts/names.ts'
import { newEvent } from '#shared/frame/events.ts'
import { aJob, bodyOf, post, startApi, until } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())

const guid = 'a-track'
const revision = 'x0123456789abcdef' as Revision
const request = {
  ...{ request_id: randomUUID(), asset_guid: guid },
  derivative_assets: ['aac-128', 'bpm', 'key', 'waveform'],
}
const job = jobId(request.request_id, guid)
const png = randomBytes(500_000)
const m4a = randomBytes(1000)
const bpm = { bpm: 128, confidence: 0.9, windows: [] }

const ended: RunEnded = {
  ...{ request, job, run: 1, route: 'cloud', accepted: new Date().toISOString(), restarts: 0 },
  master: {
    ...{ uri: 'file:///mnt/masters/a.wav', revision, samples: 441_000 },
    layout: 'WAV 24-bit 48000 Hz 2 channels',
  },
  verdicts: {
    bpm: { state: 'made', version: 1, files: { json: 10 }, result: bpm },
    'aac-128': { state: 'made', version: 1, files: { m4a: m4a.length } },
    waveform: { state: 'made', version: 1, files: { json: 2, png: png.length } },
    key: {
      ...{ state: 'failed', version: 1, code: 'RENDER_FAILED', sentence: 'no key at all' },
      ...{ step: 'analyze', attempt: 1 },
    },
  },
}
await post(`${api.url}/v1/jobs`, request)
await recordRuns(api.database, [ended])
const inASecond = new Date(Date.now() + 1000).toISOString()
await recordEvents(api.database, [
  {
    ...newEvent('stage', 1),
    track: guid,
    job,
    run: 1,
    verdict: 'done',
    units: [],
    ms: 5,
    cpu_ms: 4,
  },
  {
    ...newEvent('publish', 1),
    at: inASecond,
    track: guid,
    job,
    run: 1,
    verdict: 'done',
    units: [],
    ms: 5,
  },
])
const put = (id: string, extension: string, body: Uint8Array, version = 1) =>
  api.assets.create(assetName(guid, revision, { id, version }, extension), body, {
    contentType: 'application/octet-stream',
  })
await put('waveform', 'png', png)
await put('waveform', 'json', Buffer.from('{}'))
await put('aac-128', 'm4a', m4a)
await put('bpm', 'json', Buffer.from('{"bpm":128}'))

const asset = (name: string, init?: RequestInit) =>
  fetch(`${api.url}/v1/tracks/${guid}/assets/${name}`, init)

t.test('a job that has ended tells what became of each asset', async (t) => {
  const response = await fetch(`${api.url}/v1/jobs/${request.request_id}`)
  t.equal(response.status, 200)
  const body = await response.json()
  t.match(body, { request_id: request.request_id, state: 'partial' })
  t.match(body, {
    jobs: [
      {
        ...{
          job,
          asset_guid: guid,
          state: 'partial',
          run: 1,
          revision,
          track: `/v1/tracks/${guid}`,
        },
        assets: [
          { asset: 'aac-128', state: 'made', files: { m4a: 1000 } },
          { asset: 'bpm', state: 'made', result: bpm },
          { asset: 'key', state: 'failed', code: 'RENDER_FAILED', remedy: /redrive/ },
          { asset: 'waveform', state: 'made' },
        ],
      },
    ],
  })
})

t.test(
  'a track tells its master, its length and its assets with links that work',
  async (t) => {
    const response = await fetch(`${api.url}/v1/tracks/${guid}`)
    t.equal(response.status, 200)
    const track = (await response.json()) as {
      assets: readonly {
        asset: string
        files?: readonly { href: string; bytes: number; type: string }[]
      }[]
    }
    t.match(track, {
      asset_guid: guid,
      revision,
      master: { layout: 'WAV 24-bit 48000 Hz 2 channels', samples: 441_000, seconds: 10 },
    })
    t.match(
      track.assets.find((each) => each.asset === 'key'),
      { state: 'failed', code: 'RENDER_FAILED', sentence: 'no key at all' },
    )
    const files = track.assets.flatMap(({ files = [] }) => files)
    t.equal(files.length, 4)
    for (const { href, type } of files) {
      const file = await fetch(`${api.url}${href}`)
      t.equal(file.status, 200)
      t.match(file.headers.get('content-type'), type)
    }
  },
)

t.test('a file comes whole, with its type, length and name', async (t) => {
  const response = await asset('waveform.png')
  t.equal(response.status, 200)
  t.match(Object.fromEntries(response.headers), {
    'content-type': 'image/png',
    'content-length': String(png.length),
    'accept-ranges': 'bytes',
    'x-content-type-options': 'nosniff',
    'content-disposition': `inline; filename="${guid}.waveform.png"`,
    etag: `"assets/${guid}/${revision}/waveform@1.png"`,
  })
  t.same(Buffer.from(await response.arrayBuffer()), png)
})

t.test('without an extension an asset is its first file', async (t) => {
  t.match((await asset('waveform')).headers.get('content-type'), /^application\/json/)
  t.equal((await asset('aac-128')).headers.get('content-type'), 'audio/mp4')
})

t.test('HEAD tells the same and sends nothing', async (t) => {
  const response = await asset('waveform.png', { method: 'HEAD' })
  t.equal(response.status, 200)
  t.equal(response.headers.get('content-length'), String(png.length))
  t.equal((await response.arrayBuffer()).byteLength, 0)
})

const ranges: Record<string, [start: number, end: number]> = {
  'bytes=0-0': [0, 1],
  'bytes=100-199': [100, 200],
  'bytes=499999-': [499_999, 500_000],
  'bytes=-10': [499_990, 500_000],
  'bytes=-900000': [0, 500_000],
  'bytes=499990-900000': [499_990, 500_000],
}
for (const [range, [start, end]] of Object.entries(ranges)) {
  t.test(`Range ${range} gives these bytes alone`, async (t) => {
    const response = await asset('waveform.png', { headers: { range } })
    t.equal(response.status, 206)
    t.equal(response.headers.get('content-range'), `bytes ${start}-${end - 1}/500000`)
    t.equal(response.headers.get('content-length'), String(end - start))
    t.same(Buffer.from(await response.arrayBuffer()), png.subarray(start, end))
  })
}

for (const range of [
  'bytes=500000-',
  'bytes=5-2',
  'bytes=-0',
  'bytes=-',
  'bytes=a-b',
  'bytes=',
]) {
  t.test(`Range ${range} is refused with the length`, async (t) => {
    const response = await asset('waveform.png', { headers: { range } })
    t.equal(response.status, 416)
    t.equal(response.headers.get('content-range'), 'bytes */500000')
    t.match(await response.json(), { code: 'RANGE_NOT_SATISFIABLE', at: 'header range' })
  })
}

t.test('other units and several ranges at once give the whole', async (t) => {
  for (const range of ['items=1-2', 'bytes=0-1,4-5']) {
    t.equal((await asset('waveform.png', { headers: { range } })).status, 200)
  }
})

t.test('what the client has is not sent again', async (t) => {
  const etag = (await asset('aac-128')).headers.get('etag') ?? ''
  t.equal((await asset('aac-128', { headers: { 'if-none-match': etag } })).status, 304)
  t.equal((await asset('aac-128', { headers: { 'if-none-match': '"other"' } })).status, 200)
  const same = { range: 'bytes=0-9', 'if-range': etag }
  t.equal((await asset('aac-128', { headers: same })).status, 206)
  const other = { range: 'bytes=0-9', 'if-range': '"other"' }
  t.equal((await asset('aac-128', { headers: other })).status, 200)
})

t.test('each kind of thing that is missing has a code of its own', async (t) => {
  t.match(await bodyOf(asset('key')), {
    status: 404,
    detail: /could not be made: no key at all/,
  })
  t.match(await bodyOf(asset('mood')), { status: 404, detail: /has not been made/ })
  t.match(await bodyOf(asset('waveform.gif')), {
    status: 404,
    detail: /no file \.gif; there are waveform\.json, waveform\.png/,
  })
})

t.test('an asset whose file has gone is no fault of ours', async (t) => {
  await api.assets.remove(assetName(guid, revision, { id: 'aac-128', version: 1 }, 'm4a'))
  const response = await asset('aac-128')
  t.equal(response.status, 404)
  t.match(await response.json(), { code: 'NOT_FOUND' })
  await put('aac-128', 'm4a', m4a)
})

t.test('the history has the events, the latest first, by pages', async (t) => {
  const first = (await (
    await fetch(`${api.url}/v1/tracks/${guid}/history?limit=1`)
  ).json()) as {
    events: object[]
    next: string
  }
  t.equal(first.events.length, 1)
  t.match(first.events[0], { step: 'publish', job, verdict: 'done' })
  const second = (await (await fetch(`${api.url}${first.next}`)).json()) as typeof first
  t.match(second.events[0], { step: 'stage', cpu_ms: 4 })
  t.equal((await fetch(`${api.url}/v1/tracks/nobody/history`)).status, 404)
})

t.test('of several versions the newest that was made is served', async (t) => {
  const later = {
    ...ended,
    run: 2,
    verdicts: {
      bpm: { state: 'made', version: 2, files: { json: 9 }, result: { bpm: 64 } },
      waveform: {
        ...{ state: 'failed', version: 2, code: 'RENDER_FAILED', sentence: 'no' },
        ...{ step: 'encode', attempt: 1 },
      },
    },
  } as RunEnded
  await recordRuns(api.database, [later])
  await put('bpm', 'json', Buffer.from('{"bpm":64}'.slice(0, 9)), 2)
  t.match((await asset('bpm')).headers.get('etag'), /bpm@2/)
  t.match((await asset('waveform.png')).headers.get('etag'), /waveform@1/)
})

t.test('a request for several tracks is one resource', async (t) => {
  const request_id = randomUUID()
  const both = ['b', 'c'].map((asset_guid) => aJob({ request_id, asset_guid }))
  const found = await until('the rows', async () => {
    // No recorder runs here. If the database was too slow for a row, the next post writes it.
    await post(`${api.url}/v1/jobs`, both)
    const answer = await bodyOf(fetch(`${api.url}/v1/jobs/${request_id}`))
    return answer.jobs?.length === 2 ? answer : undefined
  })
  t.match(found, { state: 'accepted' })
})
