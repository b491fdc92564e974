import { createHash } from 'node:crypto'
import t from 'tap'
import { openAccess } from '../../../services/ingest/auth/access.ts'
import { allowedOrigins } from '../../../services/ingest/auth/cors.ts'
import { aJob, raw, startApi } from './api.ts'

const token = 'a-token'
const tokens = [createHash('sha256').update(token).digest('hex')]
const LABEL = 'https://label.example'
const LOCAL = 'http://localhost:3000'
const api = await startApi({ cors_origins: [LABEL, LOCAL] })
const guarded = await api.replica({ tokens, cors_origins: [LABEL], max_upload_mib: 1 })
const plain = await api.replica({ tokens })
const open = await api.replica({ tokens, cors_origins: ['*'] })
t.teardown(() => api.close())

/** A request as a browser sends it for a page of another site. */
function from(origin: string, url: string, init: RequestInit = {}) {
  const cross = { origin, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' }
  return fetch(url, { ...init, headers: { ...cross, ...(init.headers as object) } })
}

const ask = (method: string, headers: string) => ({
  method: 'OPTIONS',
  headers: {
    'access-control-request-method': method,
    'access-control-request-headers': headers,
  },
})
const seen = (response: Response, name: string) => response.headers.get(name)

t.test('a preflight of an allowed origin is answered, without a token', async (t) => {
  for (const [method, path, headers] of [
    ['PUT', '/v1/masters/a?upload=x', 'authorization,content-range,upload-offset'],
    ['GET', '/v1/live', 'authorization,last-event-id'],
    ['GET', '/v1/tracks/a/assets/aac-128', 'authorization,if-none-match,range'],
    ['PATCH', '/v1/campaigns/x', 'authorization,content-type'],
  ] as const) {
    const answer = await from(LABEL, `${guarded.url}${path}`, ask(method, headers))
    t.equal(answer.status, 204, path)
    t.equal(seen(answer, 'access-control-allow-origin'), LABEL)
    t.equal(seen(answer, 'access-control-allow-credentials'), null)
    t.equal(seen(answer, 'access-control-max-age'), '7200')
    t.match(seen(answer, 'vary'), /\borigin\b/)
    const methods = seen(answer, 'access-control-allow-methods')?.split(', ')
    t.ok(methods?.includes(method), method)
    const allowed = seen(answer, 'access-control-allow-headers')?.split(', ')
    for (const header of headers.split(',')) t.ok(allowed?.includes(header), header)
  }
})

t.test(
  'one of another origin is refused as ever, and so is an OPTIONS that is none',
  async (t) => {
    for (const [at, origin] of [
      [guarded, 'https://evil.example'],
      [guarded, `${LABEL}:8443`],
      [guarded, 'https://sub.label.example'],
      [guarded, 'null'],
      [plain, LABEL],
      [api, 'https://evil.example'],
    ] as const) {
      const answer = await from(origin, `${at.url}/v1/jobs`, ask('POST', 'authorization'))
      t.equal(answer.status, 403, origin)
      t.equal(seen(answer, 'access-control-allow-origin'), null)
      t.equal(seen(answer, 'cross-origin-resource-policy'), 'same-origin')
      t.match(await answer.json(), { code: 'FORBIDDEN' })
    }
    const options = await from(LABEL, `${guarded.url}/v1/jobs`, { method: 'OPTIONS' })
    t.equal(options.status, 405)
  },
)

t.test('every answer can be read, refusals too', async (t) => {
  const authorization = `Bearer ${token}`
  const headers = { authorization, 'content-type': 'application/json' }
  const big = { method: 'PUT', headers: { authorization }, body: Buffer.alloc(2 ** 21) }
  for (const [status, path, init] of [
    [200, '/v1/tracks', { headers }],
    [202, '/v1/jobs', { method: 'POST', headers, body: JSON.stringify(aJob()) }],
    [401, '/v1/tracks', {}],
    [403, '/v1/links/a/x/y@1.z?expires=1&signature=2', {}],
    [404, '/v1/tracks/none', { headers }],
    [404, '/nowhere', {}],
    [405, '/v1/tracks', { method: 'DELETE', headers }],
    [413, '/v1/masters/a', big],
    [415, '/v1/jobs', { method: 'POST', headers: { authorization }, body: 'x' }],
  ] as const) {
    const answer = await from(LABEL, guarded.url + path, init as RequestInit)
    t.equal(answer.status, status, path)
    t.equal(seen(answer, 'access-control-allow-origin'), LABEL, path)
    t.equal(seen(answer, 'vary'), 'origin', path)
    t.equal(seen(answer, 'cross-origin-resource-policy'), 'cross-origin', path)
    const exposed = seen(answer, 'access-control-expose-headers')?.split(', ') ?? []
    for (const name of ['etag', 'location', 'content-range', 'upload-offset', 'retry-after'])
      t.ok(exposed.includes(name), name)
    await answer.arrayBuffer()
  }
  const page = await fetch(`${guarded.url}/page/page.js`)
  t.equal(seen(page, 'vary'), 'accept-encoding, origin', 'caches keep them apart')
})

t.test('a limit of requests and one of streams can be read', async (t) => {
  const few = await api.replica({ tokens, cors_origins: [LABEL], rate_limit_per_minute: 1 })
  const headers = { authorization: `Bearer ${token}` }
  await from(LABEL, `${few.url}/v1/tracks`, { headers })
  const answer = await from(LABEL, `${few.url}/v1/tracks`, { headers })
  t.equal(answer.status, 429)
  t.equal(seen(answer, 'access-control-allow-origin'), LABEL)
  const asked = await from(LABEL, `${few.url}/v1/tracks`, ask('GET', 'authorization'))
  t.equal(asked.status, 204, 'a preflight does not count')
})

t.test('* is every origin, and needs no Vary', async (t) => {
  const headers = { authorization: `Bearer ${token}` }
  for (const origin of ['https://any.example', 'null']) {
    const answer = await from(origin, `${open.url}/v1/tracks`, { headers })
    t.equal(answer.status, 200)
    t.equal(seen(answer, 'access-control-allow-origin'), '*')
    t.equal(seen(answer, 'vary'), null)
    const link = `${open.url}/v1/links/a/x/y@1.z?expires=1&signature=2`
    const loaded = await fetch(link, { headers: { 'sec-fetch-site': 'cross-site' } })
    t.equal(loaded.status, 403)
    t.match(await loaded.json(), { code: 'LINK_INVALID' })
    t.equal(seen(loaded, 'cross-origin-resource-policy'), 'cross-origin')
  }
})

t.test('without origins no answer has a word of it', async (t) => {
  const answer = await fetch(`${plain.url}/v1/errors`)
  t.same(
    [...answer.headers.keys()].filter((name) => /^access-control|^vary/.test(name)),
    [],
  )
})

t.test(
  'a name that was made to resolve to this machine is refused, whatever the origin',
  async (t) => {
    for (const origin of [
      LABEL,
      'http://rebound.example',
      `http://rebound.example:${api.port}`,
    ]) {
      const lines = [
        `host: rebound.example:${api.port}`,
        `origin: ${origin}`,
        'connection: close',
      ]
      const answer = await raw(
        api.port,
        `GET /v1/tracks HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`,
      )
      t.match(answer, /^HTTP\/1\.1 403 .*FORBIDDEN/s, origin)
    }
  },
)

t.test('what elements load tells its page by Referer, on signed addresses alone', async (t) => {
  const load = (path: string, referer?: string) =>
    fetch(api.url + path, {
      headers: {
        ...{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
        ...(referer === undefined ? {} : { referer }),
      },
    })
  const link = '/v1/links/a/x/y@1.z?expires=1&signature=2'
  const codeOf = async (answer: Promise<Response>) =>
    ((await (await answer).json()) as { code: string }).code
  t.equal(await codeOf(load(link, `${LABEL}/page`)), 'LINK_INVALID')
  t.equal(seen(await load(link, `${LABEL}/`), 'cross-origin-resource-policy'), 'cross-origin')
  t.equal(seen(await load(link, `${LABEL}/`), 'access-control-allow-origin'), null)
  for (const referer of ['https://evil.example/', `https://evil.example/${LABEL}`, 'nonsense'])
    t.equal(await codeOf(load(link, referer)), 'FORBIDDEN', referer)
  t.equal(await codeOf(load(link)), 'FORBIDDEN')
  t.equal(await codeOf(load('/v1/errors', `${LABEL}/`)), 'FORBIDDEN')
})

t.test('an origin is written as browsers write it', async (t) => {
  const guards = openAccess({ tokens, oidc: { issuer: '', audience: '' }, tenants: {} })
  const none = openAccess({ tokens: [], oidc: { issuer: '', audience: '' }, tenants: {} })
  const faultOf = (cors_origins: string[], access = guards) => {
    try {
      allowedOrigins({ cors_origins }, access)
      return undefined
    } catch (error) {
      return (error as Error).message
    }
  }
  for (const good of [LABEL, LOCAL, 'http://[::1]:8080', 'https://xn--bcher-kva.example'])
    t.equal(faultOf([good]), undefined, good)
  for (const bad of [
    ...['https://label.example/', 'https://Label.example', 'label.example', 'null', ''],
    ...[
      'https://label.example:443',
      'ftp://label.example',
      'https://*.label.example',
      'file://',
    ],
    ...['https://bücher.example', 'https://user@label.example'],
  ])
    t.match(faultOf([bad]), /TRACKCHAIN_CORS_ORIGINS.*expected an origin as browsers/, bad)
  t.match(faultOf(['https://Label.example/']), /e\.g\. https:\/\/label\.example/)
  t.equal(faultOf(['*']), undefined)
  t.match(faultOf(['*'], none), /no token is needed here: every page .* could use the API/)
  t.match(faultOf(['*', LABEL]), /beside other origins/)
})
