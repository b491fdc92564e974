import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { openAccess } from '../../../services/ingest/auth/access.ts'
import { assertNotExposed } from '../../../services/ingest/auth/guard.ts'
import { patient } from '../../support/patience.ts'
import { type AnyBody, aJob, bodyOf, post, raw, startApi, until } from './api.ts'

const token = 'a-token.of~some+length/=='
const tokens = [
  createHash('sha256').update('another').digest('hex'),
  createHash('sha256').update(token).digest('hex'),
]
const api = await startApi()
const guarded = await api.replica({ tokens })
t.teardown(() => api.close())

t.test('with tokens configured, none is let in without one', async (t) => {
  for (const authorization of [undefined, 'Bearer', 'Bearer wrong', `Basic ${token}`, token]) {
    const headers = authorization === undefined ? {} : { authorization }
    const response = await post(
      `${guarded.url}/v1/jobs`,
      aJob(),
      headers as Record<string, string>,
    )
    t.equal(response.status, 401)
    t.equal(response.headers.get('www-authenticate'), 'Bearer')
    t.match(await response.json(), { code: 'UNAUTHORIZED', at: 'header authorization' })
  }
  for (const path of ['/v1/tracks/a', '/v1/tracks/a/assets/bpm', '/v1/jobs/x']) {
    t.equal((await fetch(`${guarded.url}${path}`)).status, 401, path)
  }
  const uploads = await fetch(`${guarded.url}/v1/masters/a`, { method: 'PUT', body: 'x' })
  t.equal(uploads.status, 401)
})

t.test('a configured token opens the door', async (t) => {
  const response = await post(`${guarded.url}/v1/jobs`, aJob(), {
    authorization: `Bearer ${token}`,
  })
  t.equal(response.status, 202)
  const lower = await post(`${guarded.url}/v1/jobs`, aJob(), {
    authorization: 'bearer another',
  })
  t.equal(lower.status, 202)
})

t.test('a token opens what its scopes say, and no more', async (t) => {
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
  const scoped = await api.replica({
    tokens: (['submit', 'read', 'operate'] as const).map((scope) => ({
      ...{ sha256: sha256(`may-${scope}`), scopes: [scope], name: `the ${scope} one` },
    })),
  })
  const id = 'f'.repeat(32)
  const json = { 'content-type': 'application/json' }
  const addresses: [string, string, string][] = [
    ['submit', 'POST', '/v1/jobs'],
    ['submit', 'PUT', '/v1/masters/a'],
    ['submit', 'POST', '/v1/masters/a'],
    ['submit', 'HEAD', '/v1/masters/a?upload=x'],
    ['read', 'GET', '/v1/jobs/3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11'],
    ['read', 'GET', '/v1/tracks/a'],
    ['read', 'HEAD', '/v1/tracks/a'],
    ['read', 'GET', '/v1/tracks/a/history'],
    ['read', 'GET', '/v1/tracks/a/assets/bpm'],
    ['read', 'HEAD', '/v1/tracks/a/assets/bpm'],
    ['read', 'GET', '/v1/dead-letters'],
    ['read', 'GET', `/v1/dead-letters/${id}`],
    ['read', 'GET', '/v1/cancellations'],
    ['read', 'GET', '/v1/releases'],
    ['read', 'GET', '/v1/releases/7'],
    ['operate', 'POST', '/v1/releases/7/cancel'],
    ['operate', 'POST', '/v1/jobs/nobody/cancel'],
    ['operate', 'POST', '/v1/dead-letters/redrive'],
    ['operate', 'POST', `/v1/dead-letters/${id}/discard`],
  ]
  for (const [needed, method, path] of addresses) {
    for (const scope of ['submit', 'read', 'operate']) {
      const headers = {
        authorization: `Bearer may-${scope}`,
        ...(method === 'POST' ? json : {}),
      }
      const response = await fetch(`${scoped.url}${path}`, { method, headers })
      const isOpen = ![401, 403].includes(response.status)
      t.equal(isOpen, scope === needed, `${method} ${path} with ${scope}: ${response.status}`)
      if (isOpen || method === 'HEAD') continue
      t.match(await response.json(), {
        ...{ status: 403, code: 'SCOPE_MISSING', at: 'header authorization' },
        detail: `This needs the scope ${needed}; the ${scope} one has ${scope}.`,
      })
    }
  }
  const document = (await (await fetch(`${scoped.url}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, { security?: unknown }>>
  }
  t.same(document.paths['/v1/jobs']?.post?.security, [{ token: ['submit'] }])
  t.equal(document.paths['/v1/errors']?.get?.security, undefined)
})

t.test('a token says on whose account jobs are made, and no job says otherwise', async (t) => {
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
  const shared = await api.replica({
    tenants: { label: {}, shop: {} },
    tokens: [
      { sha256: sha256('of-label'), scopes: ['submit'], tenant: 'label' },
      sha256('plain'),
    ],
  })
  const ask = async (token: string, job: unknown) =>
    bodyOf(post(`${shared.url}/v1/jobs`, job, { authorization: `Bearer ${token}` }))
  const stage = api.received('stage')
  const request_id = randomUUID()
  t.match(await ask('of-label', aJob({ request_id })), { status: 202, tenant: 'label' })
  t.match(await ask('of-label', aJob({ tenant: 'label' })), { status: 202, tenant: 'label' })
  t.match(await ask('plain', aJob()), { status: 202, tenant: 'default' })
  for (const [token, tenant] of [
    ['of-label', 'shop'],
    ['of-label', 'unheard-of'],
    ['plain', 'label'],
  ] as const)
    t.match(await ask(token, aJob({ tenant })), {
      ...{ status: 403, code: 'OTHER_TENANT', at: '/tenant' },
    })
  const both = await ask('of-label', [aJob(), aJob({ tenant: 'shop' })])
  t.match(both.results, [
    { status: 202, tenant: 'label' },
    { status: 403, at: '/1/tenant' },
  ])
  const lines = await post(
    `${shared.url}/v1/jobs`,
    `${JSON.stringify(aJob({ tenant: 'shop' }))}\n`,
    {
      authorization: 'Bearer of-label',
      'content-type': 'application/x-ndjson',
    },
  )
  t.match(JSON.parse(await lines.text()), { status: 403, code: 'OTHER_TENANT' })
  const form = new FormData()
  form.set('job', JSON.stringify(aJob({ tenant: 'shop' })))
  const headers = { authorization: 'Bearer of-label' }
  const sent = await fetch(`${shared.url}/v1/jobs`, { method: 'POST', headers, body: form })
  t.equal(sent.status, 403)
  t.match(await ask('plain', aJob({ request_id })), {
    ...{ status: 409, code: 'REQUEST_CONFLICT', at: '/tenant' },
  })
  const first = await until('the first job', () =>
    stage.all.find(({ body }) => (body.request as AnyBody).request_id === request_id),
  )
  t.match(first.body.request, { tenant: 'label' })
  t.match(
    await bodyOf(post(`${api.url}/v1/jobs`, aJob({ tenant: 'nobody' }))),
    { status: 422, code: 'UNKNOWN_TENANT', detail: /no tenant here; there are: default/ },
    'without tokens a job says so itself',
  )
  t.throws(
    () =>
      openAccess({
        tokens: [{ sha256: tokens[0] ?? '', scopes: ['read'], tenant: 'gone' }],
        oidc,
        tenants: {},
      }),
    /TRACKCHAIN_TOKENS \/0\/tenant must be one of TRACKCHAIN_TENANTS \(default\), got gone/,
  )
})
t.test('health, documentation and reference need none', async (t) => {
  for (const path of [
    ...['/', '/healthz', '/readyz', '/metrics', '/docs', '/docs/json', '/openapi.json'],
    ...[
      '/docs/static/swagger-ui.css',
      '/v1/derivatives',
      '/v1/schemas/encode-job',
      '/v1/errors',
    ],
  ]) {
    t.equal((await fetch(`${guarded.url}${path}`)).status, 200, path)
  }
})

t.test('without tokens only the names of this machine are answered', async (t) => {
  const ask = async (host: string) => {
    const answer = await raw(
      api.port,
      `GET /v1/derivatives HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
    )
    return Number(answer.split(' ')[1])
  }
  for (const host of [
    'localhost',
    '127.0.0.1',
    '127.0.0.1:8080',
    '[::1]:8080',
    'LOCALHOST:1',
  ]) {
    t.equal(await ask(host), 200, host)
  }
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '']) {
    t.equal(await ask(host), 403, host)
  }
})

t.test('pages of other sites cannot make anything happen', async (t) => {
  const own = `http://127.0.0.1:${api.port}`
  const from = (headers: Record<string, string>) =>
    post(`${api.url}/v1/jobs`, aJob(), headers).then(({ status }) => status)
  t.equal(await from({ origin: own }), 202)
  t.equal(await from({ 'sec-fetch-site': 'same-origin', origin: own }), 202)
  for (const headers of [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `http://localhost:${api.port}` },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site', origin: own },
  ]) {
    const response = await raw(
      api.port,
      [
        'POST /v1/jobs HTTP/1.1',
        `host: 127.0.0.1:${api.port}`,
        'content-type: application/json',
        ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
        'content-length: 21',
        'connection: close\r\n\r\n{"asset_guid":"abcd"}',
      ].join('\r\n'),
    )
    t.match(response, /^HTTP\/1\.1 403 .*"code":"FORBIDDEN"/s, JSON.stringify(headers))
    t.notMatch(response, /access-control/i)
  }
})

t.test('nothing is guessed, framed or lent to other sites', async (t) => {
  const { headers } = await fetch(`${api.url}/v1/nothing`)
  t.equal(headers.get('x-content-type-options'), 'nosniff')
  t.match(headers.get('content-security-policy'), /default-src 'none'/)
  t.equal(headers.get('cross-origin-resource-policy'), 'same-origin')
  t.equal(headers.get('cross-origin-opener-policy'), 'same-origin')
  t.equal(headers.get('x-frame-options'), 'DENY')
  t.equal(headers.get('access-control-allow-origin'), null)
  // The service speaks plain HTTP. A proxy that adds TLS sets this header.
  t.equal(headers.get('strict-transport-security'), null)
})

const oidc = { issuer: '', audience: '' }
const open = openAccess({ tokens: [], oidc, tenants: {} })

t.test('an open API is bound to this machine alone', async (t) => {
  for (const host of ['127.0.0.1', '127.8.8.8', '::1', 'localhost']) {
    t.doesNotThrow(() => assertNotExposed({ host }, open))
  }
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'trackchain.example', '127.0.0.1.example']) {
    t.throws(() => assertNotExposed({ host }, open), /TRACKCHAIN_TOKENS/, host)
    t.doesNotThrow(() => assertNotExposed({ host }, openAccess({ tokens, oidc, tenants: {} })))
  }
})

t.test('beyond the rate limit the response says when to retry', async (t) => {
  const limited = await api.replica({ rate_limit_per_minute: 3 })
  for (let count = 0; count < 3; count++) {
    t.equal((await fetch(`${limited.url}/v1/derivatives`)).status, 200)
  }
  const response = await fetch(`${limited.url}/v1/derivatives`)
  t.equal(response.status, 429)
  t.match(response.headers.get('retry-after'), /^\d+$/)
  t.match(await response.json(), { code: 'TOO_MANY_REQUESTS', detail: /More than 3 requests/ })
  t.equal((await fetch(`${limited.url}/healthz`)).status, 200)
})

t.test(
  'a connection without a request delays no stop',
  { timeout: patient(30_000) },
  async (t) => {
    const closing = await api.replica()
    const silent = connect(closing.port, '127.0.0.1')
    t.teardown(() => silent.destroy())
    await once(silent, 'connect')
    // Without this the server would wait until an idle connection times out, after a minute.
    await Promise.all([once(silent.resume(), 'close'), closing.close()])
    t.equal(silent.bytesRead, 0)
  },
)
