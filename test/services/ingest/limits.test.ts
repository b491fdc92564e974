import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { lately } from '#shared/async/lately.ts'
import { clientAddresses } from '../../../services/ingest/auth/client-address.ts'
import { createRate } from '../../../services/ingest/auth/rate.ts'
import { createSlots } from '../../../services/ingest/http/slots.ts'
import { aJob, post, raw, sha256, startApi, until } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())
const digest = (token: string) => createHash('sha256').update(token).digest('hex')
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

t.test('a bucket holds a minute, and fills evenly', (t) => {
  let now = 0
  const rate = createRate(60, () => now)
  for (let i = 0; i < 60; i++) t.equal(rate.take('a'), 0)
  t.equal(rate.take('a'), 1)
  t.equal(rate.take('b'), 0, 'everybody has his own')
  now = 999
  t.equal(rate.take('a'), 1)
  now = 1000
  t.equal(rate.take('a'), 0)
  t.equal(rate.take('a'), 1)
  now = 3_600_000
  for (let i = 0; i < 60; i++) t.equal(rate.take('a'), 0, 'no more than a minute is saved up')
  t.ok(rate.take('a') > 0)
  t.equal(createRate(0).take('a'), 0)
  for (let i = 0; i < 200_000; i++) rate.take(`stranger ${i}`)
  t.ok(rate.take('stranger 199999') === 0, 'strangers in any number cost little')
  t.end()
})

t.test('a client is where a trusted proxy says, and nowhere else', (t) => {
  const ask = (settings: object, peer: string, forwarded?: string) =>
    clientAddresses({ trusted_proxies: [], proxy_hops: 1, ...settings })({
      socket: { remoteAddress: peer } as Socket,
      headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
    } as Pick<IncomingMessage, 'socket' | 'headers'>)
  const trusting = { trusted_proxies: ['10.0.0.0/8', 'fd00::/8'] }
  t.equal(ask({}, '203.0.113.9', '1.2.3.4'), '203.0.113.9', 'nobody is trusted')
  t.equal(ask(trusting, '203.0.113.9', '1.2.3.4'), '203.0.113.9', 'he is no proxy')
  t.equal(ask(trusting, '10.1.2.3', '1.2.3.4'), '1.2.3.4')
  t.equal(ask(trusting, '::ffff:10.1.2.3', '6.6.6.6, 1.2.3.4'), '1.2.3.4', 'what came before')
  t.equal(
    ask({ ...trusting, proxy_hops: 2 }, '10.1.2.3', '6.6.6.6, 1.2.3.4,34.0.0.1'),
    '1.2.3.4',
  )
  t.equal(ask({ ...trusting, proxy_hops: 3 }, '10.1.2.3', '1.2.3.4'), '10.1.2.3', 'too few')
  t.equal(ask(trusting, '10.1.2.3', 'unknown'), '10.1.2.3')
  t.equal(ask(trusting, '10.1.2.3'), '10.1.2.3')
  t.equal(ask(trusting, 'fd00::1', '2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64')
  t.equal(ask({}, '2001:db8::1'), '2001:db8:0:0::/64')
  t.equal(ask({}, '::1'), '0:0:0:0::/64')
  t.equal(ask({}, 'fe80::1%eth0'), 'fe80:0:0:0::/64')
  t.throws(() => ask({ trusted_proxies: ['10.0.0.0/99'] }, '10.1.2.3'), /10\.0\.0\.0\/99/)
  t.end()
})

t.test('places are limited in all, and for each client', (t) => {
  const slots = createSlots(3, 2)
  const [one, two] = [slots.take('a'), slots.take('a')]
  t.ok(one && two)
  t.notOk(slots.take('a'))
  t.ok(slots.take('b'))
  t.notOk(slots.take('c'))
  one?.()
  one?.()
  t.ok(slots.take('a'))
  t.notOk(slots.take('c'), 'given back once')
  t.end()
})

t.test('requests within a short time share one answer', async (t) => {
  let asked = 0
  const look = lately(async () => {
    asked++
    await sleep(20)
    return asked
  }, 1000)
  t.same(await Promise.all([look(), look(), look()]), [1, 1, 1])
  t.equal(await look(), 1)
  // Longer is right, too.
  await sleep(1100)
  t.equal(await look(), 2)
})

t.test('a stranger spends his own requests, never those of a token', async (t) => {
  const [own, other] = ['a-good-token', 'another']
  const limited = await api.replica({
    rate_limit_per_minute: 5,
    trusted_proxies: ['127.0.0.0/8'],
    tokens: [
      { sha256: digest(own), scopes: ['read'], name: 'one' },
      { sha256: digest(other), scopes: ['read'], name: 'two' },
    ],
  })
  const ask = async (headers: Record<string, string>, path = '/v1/tracks') => {
    const response = await fetch(`${limited.url}${path}`, { headers })
    await response.arrayBuffer()
    return response
  }
  const stranger = { 'x-forwarded-for': '203.0.113.9' }
  for (let i = 0; i < 3; i++) t.equal((await ask(stranger)).status, 401)
  t.equal((await ask({ ...stranger, ...bearer('guess') })).status, 401)
  t.equal((await ask(stranger, '/v1/errors')).status, 200)
  for (const headers of [stranger, { ...stranger, ...bearer('guess') }]) {
    const refused = await ask(headers)
    t.equal(refused.status, 429, 'he has spent them, by guessing too')
    t.match(refused.headers.get('retry-after'), /^\d+$/)
  }
  t.equal((await ask(stranger, '/v1/errors')).status, 429)
  t.equal((await ask({ 'x-forwarded-for': '203.0.113.10' })).status, 401, 'another has not')
  t.equal(
    (await ask({ 'x-forwarded-for': '203.0.113.10, 203.0.113.9' }, '/v1/errors')).status,
    429,
    'what he says of himself does not count',
  )
  const good = { ...stranger, ...bearer(own) }
  t.equal((await ask(good, '/v1/errors')).status, 200, 'nor does it matter who asks beside him')
  for (let i = 0; i < 4; i++) t.equal((await ask(good)).status, 200)
  t.equal((await ask(good)).status, 429)
  t.equal((await ask({ ...bearer(own), 'x-forwarded-for': '203.0.113.77' })).status, 429)
  t.equal((await ask({ ...stranger, ...bearer(other) })).status, 200)
  for (const path of ['/healthz', '/readyz', '/metrics', '/', '/page/page.js']) {
    for (let i = 0; i < 6; i++) t.equal((await ask(stranger, path)).status, 200, path)
  }
  // Without a trusted proxy the header is ignored.
  const direct = await api.replica({ rate_limit_per_minute: 2 })
  const codes: number[] = []
  for (let i = 0; i < 4; i++) {
    const headers = { 'x-forwarded-for': `203.0.113.${i}` }
    codes.push((await fetch(`${direct.url}/v1/errors`, { headers })).status)
  }
  t.same(codes, [200, 200, 429, 429])
})

t.test('probes in any number ask the database now and then', async (t) => {
  // A database that counts its connections and never answers.
  let came = 0
  const database = createServer()
  database.on('connection', (socket) => {
    came++
    socket.destroy()
  })
  database.listen(0, '127.0.0.1')
  await once(database, 'listening')
  t.teardown(() => database.close())
  const { port } = database.address() as AddressInfo
  const probed = await api.replica({ dsn: `postgresql://x@127.0.0.1:${port}/x` })
  const answers = await Promise.all(
    Array.from({ length: 200 }, async () => (await fetch(`${probed.url}/readyz`)).json()),
  )
  t.match(answers[0], { accepting: true, reading: false })
  t.ok(came >= 1 && came < 20, `${came} connections for 200 probes`)
})

/** A request whose body has been begun and is continued by the test. */
async function opened(port: number, head: string) {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  await once(socket, 'connect')
  socket.write(`${head}\r\nhost: localhost\r\n`)
  return { socket, text: () => text }
}

t.test('the number of bodies at once is limited', async (t) => {
  const few = await api.replica({ max_bodies: 4 })
  const head = 'PUT /v1/masters/a HTTP/1.1'
  const first = await opened(few.port, head)
  first.socket.write('content-length: 1000000\r\n\r\nx')
  const second = await opened(few.port, head)
  second.socket.write('transfer-encoding: chunked\r\n\r\n1\r\nx\r\n')
  await sleep(200)
  const refused = await until('a refusal', async () => {
    const response = await post(`${few.url}/v1/jobs`, aJob())
    return response.status === 429 ? response : undefined
  })
  t.match(refused.headers.get('retry-after'), /^\d+$/)
  t.match(await refused.json(), { code: 'TOO_MANY_REQUESTS', detail: /^4 bodies/ })
  t.equal((await fetch(`${few.url}/v1/tracks`)).status, 200, 'what has no body is answered')
  first.socket.destroy()
  second.socket.destroy()
  await until('places again', async () => {
    const { status } = await post(`${few.url}/v1/jobs`, aJob())
    return status === 202
  })
  for (let i = 0; i < 20; i++) t.equal((await post(`${few.url}/v1/jobs`, aJob())).status, 202)
})

t.test(
  'a body that trickles is ended, one that is large is not',
  { timeout: 120_000 },
  async (t) => {
    const strict = await api.replica({ slowest: { bytes: 2000, ms: 1500 } })
    for (const [head, begin] of [
      ['PUT /v1/masters/a HTTP/1.1', 'content-length: 1000000\r\n\r\nx'],
      ['PUT /v1/masters/a?upload=u1 HTTP/1.1', 'content-length: 1000000\r\n\r\nx'],
      [
        'POST /v1/jobs HTTP/1.1',
        'content-type: application/json\r\ncontent-length: 1000\r\n\r\n{',
      ],
      [
        'POST /v1/jobs HTTP/1.1',
        'content-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 1000\r\n\r\n\x1f',
      ],
      [
        'POST /v1/jobs HTTP/1.1',
        'content-type: multipart/form-data; boundary=x\r\ncontent-length: 1000000\r\n\r\n' +
          '--x\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF',
      ],
    ] as const) {
      const { socket, text } = await opened(strict.port, head)
      socket.write(begin, 'latin1')
      // Of the gzip nothing more is sent, because any other bytes would not be gzip.
      const drip = setInterval(() => begin.endsWith('\x1f') || socket.write('x'), 100)
      await once(socket, 'close')
      clearInterval(drip)
      t.match(text(), /^HTTP\/1\.1 408 .*REQUEST_TIMEOUT/s, `${head} ${begin.slice(0, 60)}`)
    }
    // Lines may arrive at any time.
    const lines = await opened(strict.port, 'POST /v1/jobs HTTP/1.1')
    lines.socket.write(
      'content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n',
    )
    await sleep(4000)
    lines.socket.write('3\r\n{}\n\r\n0\r\n\r\n')
    await until('its answer', () => lines.text().includes('"line":1') || undefined)
    lines.socket.destroy()
    const bytes = Buffer.alloc(3_000_000, 1)
    const { socket, text } = await opened(strict.port, 'PUT /v1/masters/big HTTP/1.1')
    const closed = once(socket, 'close')
    socket.write(`connection: close\r\ncontent-length: ${bytes.length}\r\n\r\n`)
    for (let at = 0; at < bytes.length; at += 500_000) {
      socket.write(bytes.subarray(at, at + 500_000))
      await sleep(700)
    }
    await closed
    t.match(text(), /^HTTP\/1\.1 201 /)
    t.match(text(), new RegExp(sha256(bytes)))
  },
)

t.test('the number of streams is limited, and places are given back', async (t) => {
  const few = await api.replica({ max_streams: 16 })
  const stop = new AbortController()
  const open = () => fetch(`${few.url}/v1/live`, { signal: stop.signal })
  t.same([(await open()).status, (await open()).status], [200, 200])
  const third = await open()
  t.equal(third.status, 429)
  t.match(await third.json(), { code: 'TOO_MANY_REQUESTS', detail: /^16 streams/ })
  stop.abort()
  const again = new AbortController()
  await until('a place', async () => {
    const { status } = await fetch(`${few.url}/v1/live`, { signal: again.signal })
    return status === 200
  })
  again.abort()
})

t.test('a head that can be read in two ways is refused', async (t) => {
  const body = JSON.stringify(aJob())
  const json = `content-type: application/json\r\n`
  const head = (...lines: readonly string[]) =>
    raw(api.port, `${lines.join('\r\n')}\r\nconnection: close\r\n\r\n${body}`)
  const own = `host: localhost:${api.port}`
  const length = `content-length: ${body.length}`
  const POST = 'POST /v1/jobs HTTP/1.1'
  t.match(await head(POST, own, `${json}${length}`), /^HTTP\/1\.1 202 /)
  for (const lines of [
    [POST, own, own, `${json}${length}`],
    [POST, own, 'Host: evil.example', `${json}${length}`],
    [POST, own, `${json}${length}`, length],
    [POST, own, `${json}${length}`, 'content-length: 1'],
    [POST, own, `${json}content-type: text/plain`, length],
    [POST, own, `${json}${length}`, 'transfer-encoding: chunked'],
    [POST, own, `${json}transfer-encoding: gzip, chunked`],
    [POST, own, `${json}transfer-encoding: identity`],
    [POST, own, `${json}transfer-encoding: chunked`, 'transfer-encoding: chunked'],
    [POST, own, `${json}transfer-encoding: x`],
    [POST, own, `${json}${length}`, 'origin: http://localhost', 'origin: http://x.example'],
    [POST, own, `${json}${length}`, 'authorization: a', 'authorization: b'],
    [POST, `${json}${length}`],
    [`POST http://evil.example/v1/jobs HTTP/1.1`, own, `${json}${length}`],
    [`POST http://localhost:${api.port}/v1/jobs HTTP/1.1`, own, `${json}${length}`],
    ['GET evil.example:80 HTTP/1.1', own],
    [POST, `host: localhost, evil.example`, `${json}${length}`],
  ]) {
    const answer = await head(...lines)
    t.match(answer, /^HTTP\/1\.1 40[03] /, lines.join(' | '))
  }
  t.match(await head('GET /healthz HTTP/1.1', own, own), /^HTTP\/1\.1 400 /)
})
