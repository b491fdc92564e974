import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import t from 'tap'
import { pipelined } from '../../../services/ingest/jobs/pipelined.ts'
import { lines } from '../../../services/ingest/jobs/read-lines.ts'
import { aJob, startApi, until } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())
const stage = api.received('stage')

async function postLines(body: string | Buffer) {
  const response = await fetch(`${api.url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body,
  })
  const text = await response.text()
  const results = text.split('\n').filter((line) => line !== '')
  return { response, results: results.map((line) => JSON.parse(line)) }
}

t.test('thousands of lines each get a result, in order, and become a job', async (t) => {
  const count = 3000
  const body = Array.from({ length: count }, (_, index) =>
    JSON.stringify(aJob({ asset_guid: `bulk-${index}` })),
  ).join('\n')
  const { response, results } = await postLines(body)
  t.equal(response.status, 200)
  t.match(response.headers.get('content-type'), /^application\/x-ndjson/)
  t.equal(results.length, count)
  t.ok(
    results.every(
      ({ line, status, asset_guid }, index) =>
        line === index + 1 && status === 202 && asset_guid === `bulk-${index}`,
    ),
  )
  await until('all messages', () => stage.all.length >= count)
  const jobs = new Set(stage.all.map(({ body }) => body.job))
  t.ok(results.every(({ job }) => jobs.has(job)))
})

t.test('lines with request_ids may be posted again: the jobs are the same', async (t) => {
  const body = [aJob(), aJob({ asset_guid: 'x' })].map((job) => JSON.stringify(job)).join('\n')
  const first = await postLines(body)
  const second = await postLines(`${body}\n`)
  t.strictSame(first.results, second.results)
})

t.test('a broken line in the middle fails alone', async (t) => {
  const good = JSON.stringify(aJob())
  const body = Buffer.concat([
    Buffer.from(`${good}\n{"asset_guid":\n\n[]\n`),
    Buffer.from([0x22, 0xff, 0x22, 0x0a]),
    Buffer.from(`{"asset_guid":"${'x'.repeat(70_000)}"}\r\n${good}\r\n{}`),
  ])
  const { response, results } = await postLines(body)
  t.equal(response.status, 200)
  t.match(results, [
    { line: 1, status: 202 },
    { line: 2, status: 400, code: 'NOT_JSON' },
    { line: 4, status: 422, code: 'NOT_AN_ENCODE_JOB' },
    { line: 5, status: 400, code: 'NOT_JSON' },
    { line: 6, status: 413, code: 'TOO_LARGE', detail: /65536/ },
    { line: 7, status: 202 },
    { line: 8, status: 422, code: 'NO_TRACK', at: '/asset_guid' },
  ])
  t.equal(results.length, 7)
})

t.test('an empty body has no results', async (t) => {
  const { response, results } = await postLines('\n')
  t.equal(response.status, 200)
  t.strictSame(results, [])
})

t.test('a result comes as soon as its line has, while the request goes on', async (t) => {
  const sending = request(`${api.url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
  })
  sending.write(`${JSON.stringify(aJob({ asset_guid: 'early' }))}\n`)
  const [response] = await once(sending, 'response')
  const [first] = await once(response, 'data')
  t.match(JSON.parse(first.toString()), { line: 1, status: 202, asset_guid: 'early' })
  sending.end(JSON.stringify(aJob({ asset_guid: 'late' })))
  const [second] = await once(response, 'data')
  t.match(JSON.parse(second.toString()), { line: 2, asset_guid: 'late' })
})

t.test('a client that sends all before it reads gets all', async (t) => {
  const socket = connect(api.port, '127.0.0.1')
  const body = Array.from(
    { length: 5000 },
    (_, i) => `${JSON.stringify(aJob({ asset_guid: `all-${i}` }))}\n`,
  ).join('')
  socket.pause()
  socket.write(
    'POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n' +
      `content-type: application/x-ndjson\r\ncontent-length: ${body.length}\r\n\r\n`,
  )
  await new Promise<void>((resolve) => socket.write(body, () => resolve()))
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  socket.resume()
  await once(socket, 'close')
  t.equal(text.match(/"line":/g)?.length, 5000)
})

t.test('lines are the same wherever the chunks end', async (t) => {
  const bytes = Buffer.from('one\r\ntwo\n\n  \nthree is too long\nfour')
  const expected = [
    [1, 'one'],
    [2, 'two'],
    [5, null],
    [6, 'four'],
  ]
  for (let size = 1; size <= bytes.length; size++) {
    async function* chunks() {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
    }
    const found = []
    for await (const group of lines(chunks(), { most: 2, longest: 10 })) {
      t.ok(group.length <= 2)
      found.push(
        ...group.map(({ number, bytes }) => [number, bytes && Buffer.from(bytes).toString()]),
      )
    }
    t.strictSame(found, expected)
  }
})

t.test('no more lines than allowed are under way, and the order is kept', async (t) => {
  let running = 0
  let most = 0
  async function* items() {
    for (let item = 0; item < 50; item++) yield item
  }
  const work = async (item: number) => {
    most = Math.max(most, ++running)
    await new Promise((resolve) => setTimeout(resolve, (item * 7) % 5))
    running--
    return item
  }
  const results = await Array.fromAsync(pipelined(items(), work, 4))
  t.strictSame(
    results,
    Array.from({ length: 50 }, (_, item) => item),
  )
  t.equal(most, 4)
})
