import t from 'tap'
import { malformed } from '../support/malformed.ts'
import { aJob, post, raw, startApi } from './api.ts'

t.setTimeout(240_000)

const api = await startApi()
t.teardown(() => api.close())
const stage = api.received('stage')
const jobs = `${api.url}/v1/jobs`

let refusals = 0

/** A refusal: 4xx, and a problem document that says which. */
async function refusal(what: string, response: Response): Promise<string[]> {
  const { status } = response
  const text = await response.text()
  const isProblem = /^application\/problem\+json/.test(
    response.headers.get('content-type') ?? '',
  )
  const code = isProblem ? (JSON.parse(text) as { code?: string; status?: number }) : {}
  refusals++
  const isRefusal = status >= 400 && status < 500 && code.status === status
  return isRefusal ? [] : [`${what}: ${status} ${text.slice(0, 200)}`]
}

async function all(
  attempts: [what: string, send: () => Promise<Response>][],
): Promise<string[]> {
  const faults: string[] = []
  for (const [what, send] of attempts) faults.push(...(await refusal(what, await send())))
  return faults
}

t.test('a job that breaks its contract in any way is refused', async (t) => {
  const job = { ...aJob(), release_id: 1, asset_id: 2, site: 'cloud', title: 'T', artist: 'A' }
  const whole = { ...job, master_uri: 'file:///mnt/masters/a.wav' }
  const optional = Object.keys(whole).filter((name) => name !== 'asset_guid')
  // A list of jobs is a body of its own kind.
  const attempts = malformed(whole, { optional }).filter(({ what }) => what !== 'in a list')
  t.same(await all(attempts.map(({ what, body }) => [what, () => post(jobs, body)])), [])
})

const IDS = [
  '%',
  '%z',
  '%2',
  '%ff',
  '%c0%ae%c0%ae',
  '%00',
  'a%00b',
  '..%2f..%2fetc',
  '%252e%252e',
  ...[
    '.hidden',
    '-',
    '~',
    'a b',
    'a%20b',
    'a;b',
    'a%5cb',
    '%E2%80%AE',
    'é',
    "a'--",
    '"><script>',
    `${'a'.repeat(129)}`,
  ],
]

t.test('a track, an asset or a job of an impossible name is refused', async (t) => {
  const attempts = IDS.flatMap((id) =>
    [`tracks/${id}`, `tracks/${id}/history`, `tracks/a/assets/${id}`, `jobs/${id}`].map(
      (path): [string, () => Promise<Response>] => [path, () => fetch(`${api.url}/v1/${path}`)],
    ),
  )
  t.same(await all(attempts), [])
  const puts = IDS.map((id): [string, () => Promise<Response>] => [
    `PUT ${id}`,
    () => fetch(`${api.url}/v1/masters/${id}`, { method: 'PUT', body: 'audio' }),
  ])
  t.same(await all(puts), [])
})

t.test('a query that says nothing sound is refused', async (t) => {
  const queries = [
    ...[
      'limit=',
      'limit=x',
      'limit=1e9',
      'limit=0',
      'limit=1.5',
      'limit=-0',
      'limit=%00',
      'limit[]=1',
    ],
    ...[
      'limit=1&limit=2',
      'limit[a]=1',
      '__proto__[x]=1',
      'constructor=1',
      'before=',
      'before=yesterday',
    ],
    ...['before=2026-01-01T00:00:00Z', "before=';drop table job;--", `x=${'y'.repeat(9000)}`],
  ]
  const attempts = queries.map((query): [string, () => Promise<Response>] => [
    query,
    () => fetch(`${api.url}/v1/tracks/a/history?${query}`),
  ])
  t.same(await all(attempts), [])
})

t.test('headers that announce nonsense are refused', async (t) => {
  const put = (headers: Record<string, string>) =>
    fetch(`${api.url}/v1/masters/a?upload=u`, { method: 'PUT', headers, body: 'audio' })
  const ranges = [
    'bytes',
    'bytes 0-',
    'bytes 0-4',
    'bytes 9-4/10',
    'bytes 0-4/3',
    'bits 0-4/5',
    'bytes -1-4/5',
    'bytes 0-99999999999999999999/*',
  ]
  const offsets = ['', 'x', '1.5', '-1', '1e3', '0x5', '99999999999999999999', 'NaN']
  const digests = ['sha-256', 'sha-256=:AA:', 'sha-256=abc', 'sha-256=:!!!!:']
  const types = [
    'text/html',
    'application/xml',
    'application/json2',
    'json',
    '*/*',
    'multipart/form-data; boundary=',
    'multipart/mixed; boundary=b',
    'application/json; charset="',
  ]
  const attempts: [string, () => Promise<Response>][] = [
    ...ranges.map((range): [string, () => Promise<Response>] => [
      range,
      () => put({ 'content-range': range }),
    ]),
    ...offsets.map((at): [string, () => Promise<Response>] => [
      `offset ${at}`,
      () => put({ 'upload-offset': at }),
    ]),
    ...digests.map((digest): [string, () => Promise<Response>] => [
      digest,
      () => put({ 'repr-digest': digest }),
    ]),
    ...types.map((type): [string, () => Promise<Response>] => [
      type,
      () => post(jobs, 'x', { 'content-type': type }),
    ]),
  ]
  t.same(await all(attempts), [])
})

/** What follows a broken request on its connection: were it answered, it would have been smuggled in. */
const SMUGGLED = '{"asset_guid":"smuggled","site":"cloud"}'
const NEXT = `POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`
const head = (line: string, ...headers: string[]) =>
  `${[line, 'host: localhost', 'content-type: application/json', ...headers].join('\r\n')}\r\n\r\n`
const POST = 'POST /v1/jobs HTTP/1.1'

const BYTES: Record<string, string> = {
  'a length below zero': head(POST, 'content-length: -5') + NEXT,
  'a length with a sign': head(POST, 'content-length: +5') + NEXT,
  'a length in hexadecimal': head(POST, 'content-length: 0x5') + NEXT,
  'a length beyond 2^64': head(POST, 'content-length: 99999999999999999999999') + NEXT,
  'a length of two numbers': head(POST, 'content-length: 5, 6') + NEXT,
  'a length that is empty': head(POST, 'content-length:') + NEXT,
  'two lengths': head(POST, 'content-length: 2', 'content-length: 3') + NEXT,
  'a length, and chunks': `${head(POST, 'content-length: 4', 'transfer-encoding: chunked')}0\r\n\r\n${NEXT}`,
  'chunks, and a length': `${head(POST, 'transfer-encoding: chunked', 'content-length: 4')}0\r\n\r\n${NEXT}`,
  'chunks by another name': `${head(POST, 'transfer-encoding: xchunked')}0\r\n\r\n${NEXT}`,
  'chunks and then identity': `${head(POST, 'transfer-encoding: chunked, identity')}0\r\n\r\n${NEXT}`,
  'a space before the colon': head(POST, 'content-length : 4') + NEXT,
  'a folded header': `${head(POST, 'x: a', ' transfer-encoding: chunked')}0\r\n\r\n${NEXT}`,
  'a chunk of no number': `${head(POST, 'transfer-encoding: chunked')}z\r\n{}\r\n0\r\n\r\n${NEXT}`,
  'a chunk below zero': `${head(POST, 'transfer-encoding: chunked')}-1\r\n{}\r\n0\r\n\r\n${NEXT}`,
  'a chunk beyond 2^64': `${head(POST, 'transfer-encoding: chunked')}fffffffffffffffffff\r\n{}\r\n${NEXT}`,
  'a chunk shorter than it says': `${head(POST, 'transfer-encoding: chunked')}2\r\n{}}}\r\n0\r\n\r\n${NEXT}`,
  'a chunk that ends with a bare line feed': `${head(POST, 'transfer-encoding: chunked')}2\n{}\n0\n\n${NEXT}`,
  'a header without a name': head(POST, ': value') + NEXT,
  'a header with NUL': head(POST, 'x: a\0b') + NEXT,
  'a header with a bare carriage return': head(POST, 'x: a\rb') + NEXT,
  'a header name of two words': head(POST, 'x y: a') + NEXT,
  'no host': 'GET /v1/derivatives HTTP/1.1\r\n\r\n',
  'another host': 'GET /v1/derivatives HTTP/1.1\r\nhost: evil.example\r\n\r\n',
  'HTTP/0.9': 'GET /v1/derivatives\r\n\r\n',
  'HTTP/3.0': head('GET /v1/derivatives HTTP/3.0'),
  'HTTP/1.1.1': head('GET /v1/derivatives HTTP/1.1.1'),
  'HTTP/2 by its preface': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'a TLS handshake': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  'a method in small letters': head('get /v1/derivatives HTTP/1.1'),
  'a method of its own': head('JOB /v1/jobs HTTP/1.1'),
  TRACE: head('TRACE /v1/jobs HTTP/1.1'),
  'a tunnel': head('CONNECT 169.254.169.254:80 HTTP/1.1'),
  'an address elsewhere': head('GET http://169.254.169.254/latest HTTP/1.1'),
  'an address of two lines': head('GET /v1/derivatives\n HTTP/1.1'),
  'an address with NUL': head('GET /v1/\0 HTTP/1.1'),
  'an address that is empty': head('GET  HTTP/1.1'),
  'an address without a slash': head('GET v1/derivatives HTTP/1.1'),
  climbing: head('GET /v1/../../etc/passwd HTTP/1.1'),
  '2,000 headers': head(
    'GET /v1/derivatives HTTP/1.1',
    ...Array.from({ length: 2000 }, (_, i) => `x-${i}: ${i}`),
  ),
  'a header of 64 kB': head('GET /v1/derivatives HTTP/1.1', `x: ${'y'.repeat(65_536)}`),
  'an address of 64 kB': head(`GET /v1/tracks/${'y'.repeat(65_536)} HTTP/1.1`),
  'a query of 64 kB': head(`GET /v1/tracks/a/history?limit=${'9'.repeat(65_536)} HTTP/1.1`),
  'an expectation that is none': `${head(POST, 'expect: miracles', 'content-length: 2')}{}`,
  'an upgrade to what is not there': head(
    'GET /v1/nothing HTTP/1.1',
    'connection: upgrade',
    'upgrade: h2c',
  ),
}

t.test(
  'bytes that are not quite HTTP get 4xx or a closed connection, and nothing after them',
  async (t) => {
    for (const [what, bytes] of Object.entries(BYTES)) {
      const answer = await raw(api.port, Buffer.from(bytes, 'latin1'), {
        end: true,
        ms: 30_000,
      })
      refusals++
      t.match(answer, /^($|HTTP\/1\.1 4\d\d )/, what)
      t.notMatch(answer, /HTTP\/1\.1 (2|5)/, `${what}: nothing else is served`)
    }
  },
)

t.test('bodies that end before they should leave nothing', async (t) => {
  for (const [what, path, type] of [
    ['a job', '/v1/jobs', 'application/json'],
    ['lines', '/v1/jobs', 'application/x-ndjson'],
    ['a form', '/v1/jobs', 'multipart/form-data; boundary=b'],
  ]) {
    for (const framing of ['content-length: 1000', 'transfer-encoding: chunked']) {
      for (const sent of ['', '{"asset_guid":"half', '3e8\r\n{"asset_guid":"half']) {
        const bytes = `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\n${framing}\r\n\r\n${sent}`
        const answer = await raw(api.port, bytes, { end: true, ms: 30_000 })
        refusals++
        // Of lines the answer has begun by then.
        t.match(
          answer,
          what === 'lines' ? /^($|HTTP\/1\.1 (200|4))/ : /^($|HTTP\/1\.1 4\d\d )/,
          `${what}, ${framing}`,
        )
      }
    }
  }
})

t.test('after all that nothing was handed on, and jobs are taken', async (t) => {
  t.ok(refusals >= 200, `${refusals} requests`)
  t.equal(stage.all.length, 0)
  t.equal((await post(jobs, aJob())).status, 202)
})
