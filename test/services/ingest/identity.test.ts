import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Scope } from '#shared/frame/settings.ts'
import { openAccess } from '../../../services/ingest/auth/access.ts'
import { aJob, post, startApi } from './api.ts'

const AUDIENCE = 'trackchain'

interface Key {
  readonly kid: string
  readonly alg: string
  readonly secret: KeyObject
  readonly jwk: object
}

function newKey(kid: string, alg: 'RS256' | 'ES256' = 'RS256'): Key {
  const { privateKey, publicKey } =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }
  return { kid, alg, secret: privateKey, jwk }
}

const rsa = newKey('rsa-1')
const ec = newKey('ec-1', 'ES256')
let shown: object[] = [rsa.jwk, ec.jwk]
let isDown = false
let discovered: Record<string, unknown> = {}
const asked: string[] = []

// A real issuer, on loopback: its discovery document and its keys.
const server = createServer((request, response) => {
  asked.push(request.url ?? '')
  if (isDown) response.writeHead(503).end('down')
  else if (request.url === '/keys') response.end(JSON.stringify({ keys: shown }))
  else response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/keys`, ...discovered }))
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const tenants = { label: {} }
const oidc = {
  ...{ issuer, audience: AUDIENCE },
  subjects: { robot: ['submit'] as Scope[], boss: ['submit', 'read', 'operate'] as Scope[] },
  emails: { 'Ann@label.example': ['read', 'operate'] as Scope[] },
}
const identity = { cooldownMs: 0, restMs: 0 }
const api = await startApi()
const guarded = await api.replica({ oidc, identity })
t.teardown(async () => {
  await api.close()
  server.closeAllConnections()
  server.close()
})

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const now = () => Math.floor(Date.now() / 1000)

/** A valid token, except for the replaced parts. */
function token(
  claims: Record<string, unknown> = {},
  { key = rsa, header = {} }: { key?: Key; header?: Record<string, unknown> } = {},
): string {
  const head = part({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header })
  const body = part({ iss: issuer, aud: AUDIENCE, sub: 'boss', exp: now() + 600, ...claims })
  const bytes = Buffer.from(`${head}.${body}`)
  const signature = sign('sha256', bytes, { key: key.secret, dsaEncoding: 'ieee-p1363' })
  return `${head}.${body}.${signature.toString('base64url')}`
}

const ask = (bearer: string, path = '/v1/dead-letters', url = guarded.url) =>
  fetch(`${url}${path}`, { headers: { authorization: `Bearer ${bearer}` } })

t.test('a token that the issuer has signed opens what its subject may do', async (t) => {
  t.equal((await ask(token())).status, 200)
  t.equal((await ask(token({}, { key: ec }))).status, 200, 'by either kind of key')
  t.equal((await ask(token({ aud: ['other', AUDIENCE] }))).status, 200)
  t.equal((await ask(token({ exp: now() - 5 }))).status, 200, 'clocks may differ a little')
  const byRobot = { authorization: `Bearer ${token({ sub: 'robot' })}` }
  t.equal((await post(`${guarded.url}/v1/jobs`, aJob(), byRobot)).status, 202)
  const refused = await ask(token({ sub: 'robot' }))
  t.equal(refused.status, 403)
  t.equal(
    refused.headers.get('www-authenticate'),
    'Bearer error="insufficient_scope", scope="read"',
  )
  t.match(await refused.json(), {
    code: 'SCOPE_MISSING',
    detail: 'This needs the scope read; robot has submit.',
  })
})

t.test('an address counts when the issuer has verified it', async (t) => {
  const ann = { sub: '17', email: 'ann@label.example' }
  t.equal((await ask(token({ ...ann, email_verified: true }))).status, 200)
  for (const email_verified of [false, 'true', undefined]) {
    const response = await ask(token({ ...ann, email_verified }))
    t.equal(response.status, 403)
    t.match(await response.json(), {
      detail: 'This needs the scope read; 17 has no scope here.',
    })
  }
  t.equal(
    (await ask(token({ sub: 'ann@label.example' }))).status,
    403,
    'a subject is no address',
  )
  t.equal((await ask(token({ sub: 'constructor' }))).status, 403)
})

const stranger = newKey('rsa-1')
const HS256 = { alg: 'HS256' }
const forged: Record<string, () => string> = {
  'an expired one': () => token({ exp: now() - 120 }),
  'one that is not valid yet': () => token({ nbf: now() + 120 }),
  'one without an expiry': () => token({ exp: undefined }),
  'one without a subject': () => token({ sub: undefined }),
  'one for another audience': () => token({ aud: 'other' }),
  'one without an audience': () => token({ aud: undefined }),
  'one of another issuer': () => token({ iss: 'https://evil.example' }),
  'one of alg none': () => {
    const [, body] = token().split('.')
    return `${part({ alg: 'none' })}.${body}.`
  },
  'one of HS256 under the public key': () => {
    const [, body] = token().split('.')
    const head = part({ ...HS256, kid: rsa.kid })
    const pem = createPublicKey(rsa.secret).export({ type: 'spki', format: 'pem' })
    const mac = createHmac('sha256', pem).update(`${head}.${body}`).digest('base64url')
    return `${head}.${body}.${mac}`
  },
  'one by a key that only says it is ours': () => token({}, { key: stranger }),
  'one that brings its own key': () =>
    token({}, { key: stranger, header: { kid: undefined, jwk: stranger.jwk } }),
  'one that names where its keys are': () =>
    token(
      {},
      { key: stranger, header: { kid: 'x', jku: `${issuer}/evil`, x5u: `${issuer}/evil` } },
    ),
  'one of an unknown key': () => token({}, { key: stranger, header: { kid: 'unknown' } }),
  'one that was changed': () => {
    const [head, , signature] = token({ sub: 'robot' }).split('.')
    return `${head}.${part({ iss: issuer, aud: AUDIENCE, sub: 'boss', exp: now() + 600 })}.${signature}`
  },
  'one with a critical header': () => token({}, { header: { crit: ['x'], x: 1 } }),
  'one whose body is no JSON': () => `${part({ alg: 'RS256', kid: rsa.kid })}.eA.eA`,
  'a plain word': () => 'secret',
}
for (const [what, forge] of Object.entries(forged)) {
  t.test(`${what} opens nothing`, async (t) => {
    const response = await ask(forge())
    t.equal(response.status, 401)
    t.equal(response.headers.get('www-authenticate'), 'Bearer')
    t.match(await response.json(), { code: 'UNAUTHORIZED', detail: /token/ })
    t.notOk(asked.includes('/evil'), 'no address of a token is fetched')
  })
}

t.test('a new key of the issuer is found, a withdrawn one is forgotten', async (t) => {
  const next = newKey('rsa-2')
  t.equal((await ask(token({}, { key: next }))).status, 401)
  shown = [next.jwk]
  t.equal((await ask(token({}, { key: next }))).status, 200)
  t.equal((await ask(token())).status, 401, 'the old key')
  shown = [rsa.jwk, ec.jwk]
  t.equal((await ask(token())).status, 200)
})

t.test('between two looks for an unknown key the issuer is left alone', async (t) => {
  const calm = await api.replica({ oidc })
  t.equal((await ask(token(), '/v1/dead-letters', calm.url)).status, 200)
  const before = asked.length
  for (let n = 0; n < 5; n++) {
    const unknown = token({}, { key: stranger, header: { kid: `unknown-${n}` } })
    t.equal((await ask(unknown, '/v1/dead-letters', calm.url)).status, 401)
  }
  t.equal(asked.length, before)
})

t.test('an issuer that is down is no fault of the token', async (t) => {
  isDown = true
  const fresh = await api.replica({ oidc, identity })
  const get = () => ask(token(), '/v1/dead-letters', fresh.url)
  const response = await get()
  t.equal(response.status, 503)
  t.match(await response.json(), { code: 'UPSTREAM_DOWN', detail: /does not give its keys/ })
  t.equal((await ask(token())).status, 200, 'a service that has the keys goes on')
  t.equal((await ask('a-plain-word', '/v1/dead-letters', fresh.url)).status, 401)
  isDown = false
  t.equal((await get()).status, 200)

  isDown = true
  const resting = await api.replica({ oidc })
  t.equal((await ask(token(), '/v1/dead-letters', resting.url)).status, 503)
  const before = asked.length
  t.equal((await ask(token(), '/v1/dead-letters', resting.url)).status, 503)
  t.equal(asked.length, before, 'it is not asked again at once')
  isDown = false
})

t.test('an issuer that speaks of another, or of unsafe keys, is not believed', async (t) => {
  for (const odd of [
    { issuer: 'https://evil.example' },
    { jwks_uri: 'http://evil.example/keys' },
    { jwks_uri: 'file:///etc/passwd' },
    { jwks_uri: 7 },
  ]) {
    discovered = odd
    const { callerOf } = openAccess({ tokens: [], oidc, tenants }, identity)
    await t.rejects(callerOf(token()), { code: 'UPSTREAM_DOWN' }, JSON.stringify(odd))
  }
  discovered = {}
  shown = 'no keys' as unknown as object[]
  const { callerOf } = openAccess({ tokens: [], oidc, tenants }, identity)
  await t.rejects(callerOf(token()), { code: 'UPSTREAM_DOWN' })
  shown = [rsa.jwk]
  t.match(await callerOf(token()), { name: 'boss', tenant: 'default' })
  const labels = { scopes: ['read' as const], tenant: 'label' }
  const own = openAccess(
    { tokens: [], oidc: { ...oidc, subjects: { boss: labels } }, tenants },
    identity,
  )
  t.match(await own.callerOf(token()), { scopes: ['read'], tenant: 'label' })
  t.throws(
    () => openAccess({ tokens: [], oidc: { ...oidc, emails: { a: labels } }, tenants: {} }),
    /TRACKCHAIN_OIDC \/emails\/a\/tenant must be one of TRACKCHAIN_TENANTS \(default\), got label/,
  )
  t.throws(
    () => openAccess({ tokens: [], oidc: { ...oidc, audience: '' }, tenants }),
    /no audience/,
  )
})
