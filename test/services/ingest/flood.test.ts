import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { createGzip, deflateSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { createTurns } from '../../../services/ingest/http/turns.ts'
import { MAX_REFUSED } from '../../../services/ingest/jobs/ndjson.ts'
import { aJob, bodyOf, raw, startApi } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())

const LINES = 'application/x-ndjson'

/** POSTs bytes as they are. */
function post(
  body: Uint8Array | string,
  headers: Record<string, string>,
  path = '/v1/jobs',
  method = 'POST',
) {
  return fetch(`${api.url}${path}`, { method, headers, body })
}

async function linesOf(response: Response): Promise<Record<string, unknown>[]> {
  const all = (await response.text()).split('\n').filter((line) => line !== '')
  return all.map((line) => JSON.parse(line))
}

/** The longest time that another client waits while `flood` runs, ms. */
async function longestWait(flood: Promise<unknown>): Promise<number> {
  let isOver = false
  let longest = 0
  flood.finally(() => {
    isOver = true
  })
  while (!isOver) {
    const began = performance.now()
    await text((await fetch(`${api.url}/healthz`)).body as never)
    longest = Math.max(longest, performance.now() - began)
    await sleep(5)
  }
  return longest
}

t.test('turns go round, one in each round of the loop', async (t) => {
  const turns = createTurns(1000)
  let round = 0
  let isOver = false
  const count = () => {
    round++
    if (!isOver) setImmediate(count)
  }
  count()
  const order: string[] = []
  const rounds = new Set<number>()
  const work = async (name: string) => {
    for (let turn = 0; turn < 3; turn++) {
      await turns.next()
      order.push(name)
      rounds.add(round)
    }
  }
  await Promise.all([work('a'), work('b'), work('c')])
  isOver = true
  t.equal(order.join(''), 'abcabcabc')
  t.equal(rounds.size, 9, 'and the loop goes round between two')
})

t.test('tiny lines in any number delay no other client', async (t) => {
  const bodies = [
    '1\n'.repeat(31_000),
    '\n'.repeat(62_000),
    ' \r\n'.repeat(20_000),
    '[[]]\n'.repeat(12_000),
    '"\n'.repeat(31_000),
    '{}\n'.repeat(20_000),
  ]
  const flood = Promise.all(
    Array.from({ length: 12 }, async (_, i) => {
      const response = await post(bodies[i % bodies.length] as string, {
        'content-type': LINES,
      })
      return await linesOf(response)
    }),
  )
  const alone = await longestWait(sleep(300))
  const longest = await longestWait(flood)
  t.comment(`the longest wait: ${Math.round(longest)} ms, alone ${Math.round(alone)} ms`)
  t.ok(longest < 1000 + 20 * alone, `${longest} ms`)
  const [first = [], empty] = await flood
  t.same(empty, [])
  t.ok(first.length > MAX_REFUSED && first.length < 2 * MAX_REFUSED, `${first.length}`)
  t.match(first.at(-1), {
    line: null,
    status: 422,
    code: 'TOO_MANY_REFUSED',
    detail: /^1000 lines/,
  })
  t.same(
    first.slice(0, -1).map(({ line }) => line),
    Array.from({ length: first.length - 1 }, (_, i) => i + 1),
    'those before it are answered in order',
  )
})

t.test(
  'an array of things that are no jobs, and one nested deep, delay no other client',
  async (t) => {
    const json = { 'content-type': 'application/json' }
    const bodies = [
      `[${'1,'.repeat(999)}1]`,
      `[${'1,'.repeat(500_000)}1]`,
      `${'['.repeat(500_000)}${']'.repeat(500_000)}`,
      `{"asset_guid":"a","derivative_assets":[${'"x",'.repeat(200_000)}"x"]}`,
      `{${Array.from({ length: 60_000 }, (_, i) => `"k${i}":1`).join()}}`,
    ]
    const flood = Promise.all(
      Array.from({ length: 10 }, (_, i) => post(bodies[i % 5] as string, json)),
    )
    const alone = await longestWait(sleep(300))
    const longest = await longestWait(flood)
    t.comment(`the longest wait: ${Math.round(longest)} ms`)
    t.ok(longest < 1500 + 20 * alone, `${longest} ms`)
    for (const response of await flood) {
      t.ok([413, 422].includes(response.status), `${response.status}`)
      const body = await response.text()
      t.ok(body.length < 2_000_000)
    }
  },
)

t.test(
  'a refused body ends, though its client goes on sending',
  { timeout: 60_000 },
  async (t) => {
    const socket = connect(api.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(
      `POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${LINES}\r\ntransfer-encoding: chunked\r\n\r\n`,
    )
    const chunk = `${(2000).toString(16)}\r\n${'1\n'.repeat(1000)}\r\n`
    const timer = setInterval(() => socket.write(chunk), 20)
    // The connection may end with a reset, because bytes remain unread; the answer has arrived before.
    const answer: Buffer[] = []
    socket.on('data', (chunk) => answer.push(chunk))
    await new Promise((resolve) => socket.on('close', resolve))
    clearInterval(timer)
    t.match(Buffer.concat(answer).toString(), /TOO_MANY_REFUSED/)
  },
)

t.test('gzip of lines and of JSON is understood', async (t) => {
  const gzip = { 'content-encoding': 'gzip' }
  const jobs = Array.from({ length: 300 }, (_, i) => aJob({ asset_guid: `packed-${i}` }))
  const packed = gzipSync(jobs.map((job) => JSON.stringify(job)).join('\n'))
  const results = await linesOf(await post(packed, { 'content-type': LINES, ...gzip }))
  t.equal(results.filter(({ status }) => status === 202).length, 300)
  for (const encoding of ['gzip', 'x-gzip', 'GZIP']) {
    const response = await post(gzipSync(JSON.stringify(aJob())), {
      'content-type': 'application/json',
      'content-encoding': encoding,
    })
    t.equal(response.status, 202, encoding)
  }
  const as = await post(JSON.stringify(aJob()), {
    'content-type': 'application/json',
    'content-encoding': 'identity',
  })
  t.equal(as.status, 202)
  const chunked = request(`${api.url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
  })
  chunked.write(gzipSync(JSON.stringify(aJob())))
  chunked.end()
  const [answer] = (await once(chunked, 'response')) as [IncomingMessage]
  t.equal(answer.statusCode, 202)
  answer.resume()
})

t.test('what is no gzip, breaks off or is packed otherwise is said to be', async (t) => {
  const json = { 'content-type': 'application/json' }
  const whole = gzipSync(JSON.stringify(aJob({ title: randomUUID().repeat(10) })))
  const damaged = Buffer.from(whole)
  damaged.writeUInt8(damaged.readUInt8(20) ^ 0xff, 20)
  const gzip = { 'content-encoding': 'gzip' }
  for (const [body, status, code] of [
    ['{}', 400, 'BAD_REQUEST'],
    [damaged, 400, 'BAD_REQUEST'],
    [whole.subarray(0, 40), 400, 'UPLOAD_INCOMPLETE'],
  ] as const) {
    t.match(await bodyOf(post(body, { ...json, ...gzip })), { status, code })
    const lines = await linesOf(await post(body, { 'content-type': LINES, ...gzip }))
    t.match(lines.at(-1), { line: null, status, code })
  }
  for (const encoding of ['deflate', 'br', 'zstd', 'compress', 'gzip, gzip', 'x', 'gzip,br']) {
    for (const [path, method, type] of [
      ['/v1/jobs', 'POST', 'application/json'],
      ['/v1/jobs', 'POST', LINES],
      ['/v1/masters/a', 'PUT', 'audio/wav'],
      ['/v1/dead-letters/redrive', 'POST', 'application/json'],
    ] as const) {
      const headers = { 'content-type': type, 'content-encoding': encoding }
      const response = await post(deflateSync('{}'), headers, path, method)
      t.equal(response.status, 415, `${method} ${path} ${encoding}`)
      t.match(await response.json(), { code: 'WRONG_CONTENT_ENCODING' })
      t.equal(response.headers.get('accept-encoding'), method === 'PUT' ? 'identity' : 'gzip')
    }
  }
  // A master is stored as it arrives. Compressed by gzip, it would not be audio.
  const master = await post(
    gzipSync('RIFF'),
    { 'content-type': 'audio/wav', ...gzip },
    '/v1/masters/a',
    'PUT',
  )
  t.equal(master.status, 415)
  const form = await post('--x--', {
    'content-type': 'multipart/form-data; boundary=x',
    ...gzip,
  })
  t.equal(form.status, 415)
  t.equal(
    (await fetch(`${api.url}/v1/errors`, { headers: gzip })).status,
    200,
    'no body, no matter',
  )
})

t.test('a bomb goes off nowhere', async (t) => {
  const gzip = { 'content-encoding': 'gzip' }
  const bomb = await emptyLines(200)
  const before = process.memoryUsage().rss
  const lines = await linesOf(await post(bomb, { 'content-type': LINES, ...gzip }))
  t.match(lines, [{ line: null, status: 413, code: 'TOO_LARGE', detail: /100 times/ }])
  const json = await post(bomb, { 'content-type': 'application/json', ...gzip })
  t.match(await bodyOf(json), { status: 413, code: 'TOO_LARGE' })
  const one = gzipSync(`[${'1,'.repeat(1_000_000)}1]`)
  t.match(await bodyOf(post(one, { 'content-type': 'application/json', ...gzip })), {
    status: 413,
  })
  const grown = process.memoryUsage().rss - before
  t.ok(grown < 150e6, `${grown >> 20} MiB more`)
})

/** Empty lines of this many megabytes, compressed without holding all of them in memory. */
async function emptyLines(megabytes: number): Promise<Buffer> {
  const gzip = createGzip()
  const packed = buffer(gzip)
  const million = Buffer.alloc(1_000_000, '\n')
  for (let n = 0; n < megabytes; n++) if (!gzip.write(million)) await once(gzip, 'drain')
  gzip.end()
  return packed
}

t.test('a form of many parts is refused', async (t) => {
  const part = '--x\r\ncontent-disposition: form-data; name="title"\r\n\r\n\r\n'
  const flood = Promise.all(
    Array.from({ length: 5 }, () =>
      post(`${part.repeat(10_000)}--x--\r\n`, {
        'content-type': 'multipart/form-data; boundary=x',
      }),
    ),
  )
  const longest = await longestWait(flood)
  t.ok(longest < 5000, `${longest} ms`)
  for (const response of await flood) t.equal(response.status, 413)
  const head = `GET /v1/tracks?${'&'.repeat(15_000)} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`
  t.match(await raw(api.port, head), /^HTTP\/1\.1 (?:200|400)/)
})
