import t from 'tap'
import { aJob, post, raw, startApi } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())
const jobs = `${api.url}/v1/jobs`
const stage = api.received('stage')

const big = 'x'.repeat(10 * 1024 * 1024)
const EMPTY = /^The master of the track a is empty \(0 bytes\); expected audio/
const form = (parts: string) => ({
  method: 'POST',
  headers: { 'content-type': 'multipart/form-data; boundary=b' },
  body: parts,
})

interface Malformed {
  readonly send: () => Promise<Response>
  readonly status: number
  readonly code: string
  /** What the detail must name. */
  readonly names: RegExp
  readonly at?: string
}

const requests: Record<string, Malformed> = {
  'an empty body': {
    send: () => post(jobs, ''),
    ...{ status: 400, code: 'NOT_JSON', names: /empty; expected an EncodeJob/ },
  },
  'no body and no content type': {
    send: () => fetch(jobs, { method: 'POST' }),
    ...{ status: 400, code: 'NOT_JSON', names: /empty/ },
  },
  'text that is not JSON': {
    send: () => post(jobs, 'hello'),
    ...{ status: 400, code: 'NOT_JSON', names: /hello/ },
  },
  'JSON that breaks off': {
    send: () => post(jobs, '{"asset_guid":"a'),
    ...{ status: 400, code: 'NOT_JSON', names: /position|Unterminated/ },
  },
  'two JSON documents': {
    send: () => post(jobs, '{"asset_guid":"a"} {"asset_guid":"b"}'),
    ...{ status: 400, code: 'NOT_JSON', names: /after JSON/ },
  },
  'invalid UTF-8': {
    send: () => post(jobs, Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])),
    ...{ status: 400, code: 'NOT_JSON', names: /utf-8/ },
  },
  'a number instead of a job': {
    send: () => post(jobs, '42'),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /must be object/ },
  },
  null: {
    send: () => post(jobs, 'null'),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /must be object/ },
  },
  'an empty array': {
    send: () => post(jobs, '[]'),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /0 items; expected 1 to 1000/ },
  },
  'an array of too many jobs': {
    send: () => post(jobs, `[${'{},'.repeat(1000)}{}]`),
    ...{ status: 413, code: 'TOO_LARGE', names: /1001 items.*x-ndjson/ },
  },
  'an array of which no item is a job': {
    send: () => post(jobs, [1, 'two']),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /must be object/, at: '/0' },
  },
  'an asset_guid that is a number': {
    send: () => post(jobs, aJob({ asset_guid: 7 })),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /string, got 7/, at: '/asset_guid' },
  },
  'a release_id that is text': {
    send: () => post(jobs, aJob({ release_id: '12' })),
    ...{
      status: 422,
      code: 'NOT_AN_ENCODE_JOB',
      names: /integer, got "12"/,
      at: '/release_id',
    },
  },
  'derivative_assets that is no list': {
    send: () => post(jobs, aJob({ derivative_assets: 'bpm' })),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /array/, at: '/derivative_assets' },
  },
  'an empty list of derivative assets': {
    send: () => post(jobs, aJob({ derivative_assets: [] })),
    ...{
      status: 422,
      code: 'NOT_AN_ENCODE_JOB',
      names: /fewer than 1/,
      at: '/derivative_assets',
    },
  },
  'a derivative asset twice': {
    send: () => post(jobs, aJob({ derivative_assets: ['bpm', 'key', 'bpm'] })),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /duplicate/, at: '/derivative_assets' },
  },
  'an unknown derivative asset': {
    send: () => post(jobs, aJob({ derivative_assets: ['bpm', 'mood'] })),
    ...{
      status: 422,
      code: 'UNKNOWN_DERIVATIVE',
      names: /"mood".*is not available here; available: .*bpm/,
    },
    at: '/derivative_assets/1',
  },
  'a derivative asset called __proto__': {
    send: () => post(jobs, aJob({ derivative_assets: ['__proto__'] })),
    ...{ status: 422, code: 'UNKNOWN_DERIVATIVE', names: /"__proto__"/ },
  },
  'no track': {
    send: () => post(jobs, { derivative_assets: ['bpm'] }),
    ...{
      status: 422,
      code: 'NO_TRACK',
      names: /asset_guid and asset_id are both missing/,
      at: '/asset_guid',
    },
  },
  'an unknown property': {
    send: () => post(jobs, aJob({ colour: 'blue' })),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /unknown property "colour"/ },
  },
  'a __proto__ key': {
    send: () => post(jobs, '{"asset_guid":"a","__proto__":{"site":"onprem-a"}}'),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /"__proto__"/ },
  },
  'a constructor key': {
    send: () => post(jobs, '{"asset_guid":"a","constructor":{"prototype":{}}}'),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /"constructor"/ },
  },
  'a request_id with a line break': {
    send: () => post(jobs, aJob({ request_id: 'one\ntwo' })),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /"one\\ntwo"/, at: '/request_id' },
  },
  'a request_id that goes on and on': {
    send: () => post(jobs, aJob({ request_id: 'é'.repeat(201) })),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /more than 200/, at: '/request_id' },
  },
  'a request_id that no address can have': {
    send: () => post(jobs, aJob({ request_id: '..' })),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /"\.\."/, at: '/request_id' },
  },
  'an asset_id that no JSON reader has exactly': {
    send: () => post(jobs, '{"asset_id":9007199254740993}'),
    ...{
      status: 422,
      code: 'NOT_AN_ENCODE_JOB',
      names: /<= 9007199254740991/,
      at: '/asset_id',
    },
  },
  'an unknown site': {
    send: () => post(jobs, aJob({ site: 'moon' })),
    ...{ status: 422, code: 'UNKNOWN_SITE', names: /"moon".*cloud, onprem-a/, at: '/site' },
  },
  'a master outside the prefixes': {
    send: () => post(jobs, aJob({ master_uri: 'file:///etc/passwd' })),
    ...{
      status: 422,
      code: 'MASTER_OUT_OF_BOUNDS',
      names: /outside what route cloud may read/,
      at: '/master_uri',
    },
  },
  'a master that climbs out of its prefix': {
    send: () => post(jobs, aJob({ master_uri: 'file:///mnt/masters/../../etc/passwd' })),
    ...{ status: 422, code: 'MASTER_OUT_OF_BOUNDS', names: /outside/, at: '/master_uri' },
  },
  'a master that climbs out, percent-encoded': {
    send: () =>
      post(jobs, aJob({ master_uri: 'file:///mnt/masters/%2e%2e/%2e%2e/etc/passwd' })),
    ...{ status: 422, code: 'MASTER_OUT_OF_BOUNDS', names: /outside/, at: '/master_uri' },
  },
  'a master on the web': {
    send: () => post(jobs, aJob({ master_uri: 'http://169.254.169.254/latest' })),
    ...{ status: 422, code: 'MASTER_OUT_OF_BOUNDS', names: /outside/, at: '/master_uri' },
  },
  'path traversal in the asset_guid': {
    send: () => post(jobs, aJob({ asset_guid: '../../etc' })),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /pattern/, at: '/asset_guid' },
  },
  'a NUL in the asset_guid': {
    send: () => post(jobs, aJob({ asset_guid: 'a\0b' })),
    ...{ status: 400, code: 'NOT_JSON', names: /asset_guid has a NUL/, at: '/asset_guid' },
  },
  'half a surrogate pair in a title': {
    send: () => post(jobs, '{"asset_guid":"a","title":"a\\ud800b"}'),
    ...{
      status: 400,
      code: 'NOT_JSON',
      names: /\/title has half of a surrogate/,
      at: '/title',
    },
  },
  'half a surrogate pair in a name of a property': {
    send: () => post(jobs, '{"asset_guid":"a","\\uDC00":1}'),
    ...{ status: 400, code: 'NOT_JSON', names: /half of a surrogate pair/, at: '/' },
  },
  'a NUL in the reason of a discard': {
    send: () =>
      post(`${api.url}/v1/dead-letters/${'0'.repeat(32)}/discard`, '{"reason":"a\\u0000b"}'),
    ...{ status: 400, code: 'NOT_JSON', names: /reason has a NUL/, at: '/reason' },
  },
  'a query that is not UTF-8': {
    send: () => fetch(`${api.url}/v1/tracks?q=%ED%A0%80`),
    ...{ status: 400, code: 'BAD_REQUEST', names: /query is not UTF-8/, at: 'query' },
  },
  'a query with half an escape': {
    send: () => fetch(`${api.url}/v1/tracks?q=%e`),
    ...{ status: 400, code: 'BAD_REQUEST', names: /query is not UTF-8/, at: 'query' },
  },
  'a query that nobody knows, not UTF-8 either': {
    send: () => fetch(`${api.url}/v1/kpis?title=%ff`),
    ...{ status: 400, code: 'BAD_REQUEST', names: /query is not UTF-8/, at: 'query' },
  },
  'a 10 MB asset_guid': {
    send: () => post(jobs, aJob({ asset_guid: big })),
    ...{ status: 413, code: 'TOO_LARGE', names: /1 MiB/ },
  },
  'a half-megabyte asset_guid': {
    send: () => post(jobs, aJob({ asset_guid: big.slice(0, 500_000) })),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /500002 characters/ },
  },
  'huge nesting': {
    send: () => post(jobs, '['.repeat(400_000) + ']'.repeat(400_000)),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /must be object/ },
  },
  'huge nesting within a property': {
    send: () =>
      post(jobs, `{"derivative_assets":${'['.repeat(400_000)}${']'.repeat(400_000)}}`),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /derivative_assets\/0/ },
  },
  'half a million wrong items': {
    send: () => post(jobs, `{"derivative_assets":[${'1,'.repeat(500_000)}1]}`),
    ...{ status: 422, code: 'NOT_AN_ENCODE_JOB', names: /more than 100 items/ },
  },
  'the content type of a plain curl -d': {
    send: () => post(jobs, aJob(), { 'content-type': 'application/x-www-form-urlencoded' }),
    ...{ status: 415, code: 'WRONG_CONTENT_TYPE', names: /application\/json.*curl -d add -H/ },
  },
  'text/plain': {
    send: () => post(jobs, aJob(), { 'content-type': 'text/plain' }),
    ...{
      status: 415,
      code: 'WRONG_CONTENT_TYPE',
      names: /text\/plain.*expected application\/json/,
    },
  },
  'a content type that is none': {
    send: () => post(jobs, aJob(), { 'content-type': ';;;' }),
    ...{ status: 415, code: 'WRONG_CONTENT_TYPE', names: /expected application\/json/ },
  },
  'a form without a boundary': {
    send: () => post(jobs, 'x', { 'content-type': 'multipart/form-data' }),
    ...{ status: 400, code: 'BAD_REQUEST', names: /[Bb]oundary/ },
  },
  'a form that never ends': {
    send: () =>
      fetch(
        jobs,
        form('--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nx'),
      ),
    ...{ status: 400, code: 'BAD_REQUEST', names: /form/ },
  },
  'a form that is no form': {
    send: () => fetch(jobs, form('what is this')),
    ...{ status: 400, code: 'BAD_REQUEST', names: /form/ },
  },
  'an empty form': {
    send: () => fetch(jobs, form('--b--\r\n')),
    ...{ status: 400, code: 'BAD_REQUEST', names: /empty; expected .*file.*job/ },
  },
  'a form with an unknown field': {
    send: () =>
      fetch(
        jobs,
        form('--b\r\ncontent-disposition: form-data; name="colour"\r\n\r\nblue\r\n--b--\r\n'),
      ),
    ...{ status: 400, code: 'BAD_REQUEST', names: /"colour"; expected file, job/ },
  },
  'a form with a field called __proto__': {
    send: () =>
      fetch(
        jobs,
        form('--b\r\ncontent-disposition: form-data; name="__proto__"\r\n\r\nx\r\n--b--\r\n'),
      ),
    ...{ status: 400, code: 'BAD_REQUEST', names: /name/ },
  },
  'a form whose job is not JSON': {
    send: () =>
      fetch(
        jobs,
        form('--b\r\ncontent-disposition: form-data; name="job"\r\n\r\n{\r\n--b--\r\n'),
      ),
    ...{ status: 400, code: 'NOT_JSON', names: /The part job/ },
  },
  'a form whose file is empty': {
    send: () =>
      fetch(
        jobs,
        form(
          '--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n\r\n--b--\r\n',
        ),
      ),
    ...{
      status: 422,
      code: 'MASTER_UNREADABLE',
      names: /^The file "a\.wav" is empty \(0 bytes\); expected audio/,
    },
  },
  'an unknown address': {
    send: () => fetch(`${api.url}/v2/jobs`),
    ...{ status: 404, code: 'NOT_FOUND', names: /GET \/v2\/jobs/ },
  },
  'a method that the address does not have': {
    send: () => fetch(jobs, { method: 'DELETE' }),
    ...{ status: 405, code: 'METHOD_NOT_ALLOWED', names: /DELETE.*expected POST/ },
  },
  'a request_id in the path that can be none': {
    send: () => fetch(`${jobs}/a%0Ab`),
    ...{ status: 400, code: 'BAD_REQUEST', names: /"a\\nb"/, at: '/request_id' },
  },
  'a request that nobody made': {
    send: () => fetch(`${jobs}/00000000-0000-4000-8000-000000000000`),
    ...{ status: 404, code: 'NOT_FOUND', names: /00000000/ },
  },
  'an unknown track': {
    send: () => fetch(`${api.url}/v1/tracks/nobody`),
    ...{ status: 404, code: 'NOT_FOUND', names: /nobody/ },
  },
  'an asset of an unknown track': {
    send: () => fetch(`${api.url}/v1/tracks/nobody/assets/bpm`),
    ...{ status: 404, code: 'NOT_FOUND', names: /nobody/ },
  },
  'path traversal in the path, percent-encoded': {
    send: () => fetch(`${api.url}/v1/tracks/%2e%2e%2f%2e%2e%2fetc/assets/bpm`),
    ...{ status: 400, code: 'BAD_REQUEST', names: /pattern/, at: '/asset_guid' },
  },
  'path traversal in the name of an asset': {
    send: () => fetch(`${api.url}/v1/tracks/a/assets/..%2f..%2fsecret`),
    ...{ status: 400, code: 'BAD_REQUEST', names: /pattern/, at: '/asset' },
  },
  'path traversal below the documentation': {
    send: () => fetch(`${api.url}/docs/static/..%2f..%2f..%2fpackage.json`),
    ...{ status: 404, code: 'NOT_FOUND', names: /./ },
  },
  'a percent sign that begins nothing': {
    send: () => fetch(`${api.url}/v1/tracks/%zz`),
    ...{ status: 400, code: 'BAD_REQUEST', names: /two hexadecimal digits/ },
  },
  'an identifier in the path beyond any length': {
    send: () => fetch(`${api.url}/v1/tracks/${'x'.repeat(2000)}`),
    ...{ status: 414, code: 'URI_TOO_LONG', names: /longer/ },
  },
  'a limit that is no number': {
    send: () => fetch(`${api.url}/v1/tracks/a/history?limit=-1`),
    ...{ status: 400, code: 'BAD_REQUEST', names: /limit/, at: '/limit' },
  },
  'an unknown parameter': {
    send: () => fetch(`${api.url}/v1/tracks/a/history?page=2`),
    ...{ status: 400, code: 'BAD_REQUEST', names: /"page"/ },
  },
  'an empty master': {
    send: () => fetch(`${api.url}/v1/masters/a`, { method: 'PUT' }),
    ...{ status: 422, code: 'MASTER_UNREADABLE', names: EMPTY },
  },
  'an empty master in pieces': {
    send: () => fetch(`${api.url}/v1/masters/a?upload=x`, { method: 'PUT' }),
    ...{ status: 422, code: 'MASTER_UNREADABLE', names: EMPTY },
  },
  'an empty master that is announced': {
    send: () =>
      fetch(`${api.url}/v1/masters/a`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ sha256: 'a'.repeat(64), bytes: 0 }),
      }),
    ...{ status: 422, code: 'MASTER_UNREADABLE', names: EMPTY },
  },
  'a master whose digest is another': {
    send: () =>
      fetch(`${api.url}/v1/masters/a`, {
        method: 'PUT',
        headers: { 'repr-digest': `sha-256=:${Buffer.alloc(32).toString('base64')}:` },
        body: 'audio',
      }),
    ...{ status: 422, code: 'DIGEST_MISMATCH', names: /announced was 0000/ },
  },
  'a digest that is none': {
    send: () =>
      fetch(`${api.url}/v1/masters/a`, {
        method: 'PUT',
        headers: { 'content-digest': 'sha-256=abc' },
        body: 'audio',
      }),
    ...{ status: 400, code: 'BAD_REQUEST', names: /content-digest.*expected sha-256=/ },
  },
  'a piece of an upload without its name': {
    send: () =>
      fetch(`${api.url}/v1/masters/a`, {
        method: 'PUT',
        headers: { 'upload-offset': '5' },
        body: 'audio',
      }),
    ...{ status: 400, code: 'BAD_REQUEST', names: /upload=/ },
  },
  'a Content-Range that is none': {
    send: () =>
      fetch(`${api.url}/v1/masters/a?upload=u`, {
        method: 'PUT',
        headers: { 'content-range': 'bytes 5-2/10' },
        body: 'audio',
      }),
    ...{ status: 400, code: 'BAD_REQUEST', names: /content-range.*expected bytes first-last/ },
  },
  'an offset below zero': {
    send: () =>
      fetch(`${api.url}/v1/masters/a?upload=u`, {
        method: 'PUT',
        headers: { 'upload-offset': '-5' },
        body: 'audio',
      }),
    ...{ status: 400, code: 'BAD_REQUEST', names: /upload-offset.*number of bytes/ },
  },
  'path traversal in the name of an upload': {
    send: () =>
      fetch(`${api.url}/v1/masters/a?upload=../../x`, { method: 'PUT', body: 'audio' }),
    ...{ status: 400, code: 'BAD_REQUEST', names: /pattern/, at: '/upload' },
  },
  'an announced master without its digest': {
    send: () => post(`${api.url}/v1/masters/a`, { bytes: 5 }),
    ...{ status: 400, code: 'BAD_REQUEST', names: /sha256/ },
  },
  'an unknown schema': {
    send: () => fetch(`${api.url}/v1/schemas/__proto__`),
    ...{ status: 404, code: 'NOT_FOUND', names: /encode-job/ },
  },
  'an unknown error': {
    send: () => fetch(`${api.url}/v1/errors/toString`),
    ...{ status: 404, code: 'NOT_FOUND', names: /NOT_JSON/ },
  },
}

for (const [what, { send, status, code, names, at }] of Object.entries(requests)) {
  t.test(`${what} is refused with a problem document that names the fault`, async (t) => {
    const response = await send()
    const text = await response.text()
    t.equal(response.status, status, text.slice(0, 500))
    t.match(response.headers.get('content-type'), /^application\/problem\+json/)
    const problem = JSON.parse(text)
    t.equal(problem.code, code)
    t.equal(problem.status, status)
    t.equal(problem.type, `/v1/errors/${code}`)
    t.match(problem.detail, names)
    t.ok(problem.detail.length < 2100, 'a detail is for reading')
    for (const member of ['title', 'instance', 'remedy']) t.type(problem[member], 'string')
    if (at !== undefined) t.equal(problem.at, at)
  })
}

const bytes: Record<string, [bytes: string | Buffer, status: number, code: string]> = {
  'what is no HTTP at all': ['\x00\x01\x02 nonsense\r\n\r\n', 400, 'BAD_REQUEST'],
  'a request line of an unknown kind': ['FETCH me HTTP/9.9\r\n\r\n', 400, 'BAD_REQUEST'],
  'a header without a colon': ['GET / HTTP/1.1\r\nhost\r\n\r\n', 400, 'BAD_REQUEST'],
  'two lengths': [
    'POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}',
    ...([400, 'BAD_REQUEST'] as const),
  ],
  'a length and chunks': [
    'POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ...([400, 'BAD_REQUEST'] as const),
  ],
  'a 10 MB path': [`GET /v1/tracks/${big} HTTP/1.1\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
}
for (const [what, [sent, status, code]] of Object.entries(bytes)) {
  t.test(`${what} is refused with a problem document`, async (t) => {
    const answer = await raw(api.port, sent)
    t.match(answer, new RegExp(`^HTTP/1.1 ${status} `))
    t.match(answer, /content-type: application\/problem\+json/)
    t.match(answer, new RegExp(`"code":"${code}"`))
  })
}

for (const [what, head] of Object.entries({
  'a job': 'POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n',
  'a master': 'PUT /v1/masters/a HTTP/1.1\r\nhost: localhost\r\n',
  lines: 'POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n',
})) {
  t.test(
    `${what} whose sender ends the connection half way leaves nothing behind`,
    async (t) => {
      const answer = await raw(api.port, `${head}content-length: 1000\r\n\r\n{"asset_guid"`, {
        end: true,
      })
      if (what !== 'lines') {
        t.match(answer, /^HTTP\/1.1 400 /)
        t.match(answer, /"code":"UPLOAD_INCOMPLETE"/)
      }
      t.equal(await (await fetch(`${api.url}/healthz`)).text(), '{"status":"ok"}')
    },
  )
}

t.test('a path that climbs is no address, however it is written', async (t) => {
  for (const path of ['/../../etc/passwd', '/v1/tracks/../../x', '/docs/static/../../x']) {
    const answer = await raw(
      api.port,
      `GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`,
    )
    t.match(answer, /^HTTP\/1.1 404 /, path)
    t.match(answer, /"code":"NOT_FOUND"/)
  }
})

t.test('after all that nothing was handed on', async (t) => {
  t.equal(stage.all.length, 0)
  const accepted = await post(jobs, aJob())
  t.equal(accepted.status, 202)
})
