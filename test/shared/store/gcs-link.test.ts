import {
  createHash,
  createSign,
  createVerify,
  generateKeyPairSync,
  randomUUID,
} from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { MAX_LINK_SECONDS } from '#shared/store/driver/driver.ts'
import { type GcsSettings, gcsStore } from '#shared/store/gcs/gcs-store.ts'
import { named } from '../../conformance/store.ts'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const EMAIL = 'ingest@example-project.iam.gserviceaccount.com'
const NAME = named("assets/a~b/x01/aac-128@1 (it's ü).m4a")
const OPTIONS = {
  expiresInSeconds: 3600,
  contentType: 'audio/mp4',
  disposition: 'inline; filename="a~b.aac-128.m4a"',
}

t.test('an address has the form of V4, as computed here by its description', async (t) => {
  withKey(t)
  const store = gcsStore({ bucket: 'the-bucket', prefix: 'here/' })
  const before = Math.floor(Date.now() / 1000)
  const signed = await store.link?.(NAME, OPTIONS)
  const { url = '', expires } = signed ?? {}
  t.ok(verify(url), url)
  const { host, pathname, protocol, searchParams } = new URL(url)
  t.equal(`${protocol}//${host}`, 'https://storage.googleapis.com')
  t.equal(decodeURIComponent(pathname), `/the-bucket/here/${NAME}`)
  t.equal(searchParams.get('X-Goog-Algorithm'), 'GOOG4-RSA-SHA256')
  const day = searchParams.get('X-Goog-Date')?.slice(0, 8)
  const credential = `${EMAIL}/${day}/auto/storage/goog4_request`
  t.equal(searchParams.get('X-Goog-Credential'), credential)
  t.equal(searchParams.get('X-Goog-Expires'), '3600')
  t.equal(searchParams.get('response-content-type'), OPTIONS.contentType)
  t.equal(searchParams.get('response-content-disposition'), OPTIONS.disposition)
  const from = dateOf(searchParams.get('X-Goog-Date') ?? '')
  t.ok(from >= before && from <= Math.floor(Date.now() / 1000))
  t.equal((expires?.getTime() ?? 0) / 1000, from + 3600)
})

t.test('no part of it can be changed, and another key does not verify it', async (t) => {
  withKey(t)
  const store = gcsStore({ bucket: 'the-bucket' })
  const { url = '' } = (await store.link?.(NAME, OPTIONS)) ?? {}
  for (const [from, to] of [
    ['the-bucket', 'other-bucket'],
    ['/x01/', '/x02/'],
    ['X-Goog-Expires=3600', 'X-Goog-Expires=3601'],
    ['audio%2Fmp4', 'text%2Fhtml'],
    ['inline', 'attachment'],
    ['example-project', 'another-project'],
  ] as const) {
    t.ok(url.includes(from), from)
    t.notOk(verify(url.replace(from, to)), from)
  }
  const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
  t.notOk(verify(url, other))
})

t.test('from a second to a week, and no longer', async (t) => {
  withKey(t)
  const store = gcsStore({ bucket: 'the-bucket' })
  const lasting = (expiresInSeconds: number) =>
    store.link?.(NAME, { ...OPTIONS, expiresInSeconds })
  for (const seconds of [1, MAX_LINK_SECONDS]) {
    const { url = '' } = (await lasting(seconds)) ?? {}
    t.equal(new URL(url).searchParams.get('X-Goog-Expires'), `${seconds}`)
  }
  await t.rejects(async () => lasting(MAX_LINK_SECONDS + 1), /seven days/)
})

t.test('without a key of its own, a service account signs by signBlob', async (t) => {
  const google = await startGoogle(t)
  const store = gcsStore({ bucket: 'the-bucket', signingEndpoint: google.signing })
  const { url = '' } = (await store.link?.(NAME, OPTIONS)) ?? {}
  t.ok(verify(url), url)
  t.match(url, encodeURIComponent(EMAIL))
  t.same(google.asked, [`POST /sign/${EMAIL}:signBlob Bearer of-the-pod`])

  google.status = 403
  const refused = { name: 'StoreError', code: 'denied', message: /TokenCreator on itself/ }
  await t.rejects(async () => store.link?.(NAME, OPTIONS), refused)
  const reason = new Error('enough')
  await t.rejects(
    async () => store.link?.(NAME, { ...OPTIONS, signal: AbortSignal.abort(reason) }),
    reason,
  )
})

t.test('an emulator has no addresses of its own: there are no credentials', async (t) => {
  const settings: GcsSettings = { apiEndpoint: 'http://127.0.0.1:1' }
  t.equal(gcsStore({ bucket: 'the-bucket', ...settings }).link, undefined)
})

/** Whether the signature of a V4 address fits it: https://cloud.google.com/storage/docs/authentication/canonical-requests. */
function verify(address: string, key = publicKey): boolean {
  const { host, pathname, search, searchParams } = new URL(address)
  const signature = searchParams.get('X-Goog-Signature') ?? ''
  const query = search
    .slice(1)
    .split('&')
    .filter((each) => !each.startsWith('X-Goog-Signature='))
    .sort()
    .join('&')
  const canonical = ['GET', pathname, query, `host:${host}`, '', 'host', 'UNSIGNED-PAYLOAD']
  const date = searchParams.get('X-Goog-Date') ?? ''
  const scope = `${date.slice(0, 8)}/auto/storage/goog4_request`
  const digest = createHash('sha256').update(canonical.join('\n')).digest('hex')
  return createVerify('RSA-SHA256')
    .update(['GOOG4-RSA-SHA256', date, scope, digest].join('\n'))
    .verify(key, signature, 'hex')
}

/** Seconds since 1970 of a date such as 20301231T235959Z. */
function dateOf(text: string): number {
  const iso = text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z')
  return Date.parse(iso) / 1000
}

/** Until the test ends, the environment names a service account's key. */
function withKey(t: Test): void {
  const path = join(t.testdir({}), 'key.json')
  const private_key = privateKey.export({ type: 'pkcs8', format: 'pem' })
  const key = { type: 'service_account', client_email: EMAIL, private_key }
  writeFileSync(path, JSON.stringify({ ...key, project_id: 'example-project' }))
  setEnvironment(t, { GOOGLE_APPLICATION_CREDENTIALS: path })
}

/** A metadata server, as a pod with workload identity has it, and the API that signs for its account. */
async function startGoogle(t: Test) {
  const google = { asked: [] as string[], status: 200, signing: '' }
  const server = createServer(async (request, response) => {
    const { method, url = '', headers } = request
    response.setHeader('metadata-flavor', 'Google')
    const send = (body: unknown) => {
      const isText = typeof body === 'string'
      response.setHeader('content-type', isText ? 'application/text' : 'application/json')
      response.end(isText ? body : JSON.stringify(body))
    }
    if (url.startsWith('/sign/')) {
      google.asked.push(`${method} ${url} ${headers.authorization}`)
      const { payload } = (await json(request)) as { payload: string }
      response.statusCode = google.status
      if (google.status !== 200)
        return send({ error: { code: 403, message: "Permission 'signBlob' denied" } })
      const sign = createSign('RSA-SHA256').update(Buffer.from(payload, 'base64'))
      return send({ keyId: randomUUID(), signedBlob: sign.sign(privateKey, 'base64') })
    }
    if (url.includes('/token'))
      return send({ access_token: 'of-the-pod', expires_in: 3600, token_type: 'Bearer' })
    if (url.includes('/email')) return send(EMAIL)
    if (url.includes('universe')) return send('googleapis.com')
    if (url.includes('service-accounts'))
      return send({ default: { aliases: ['default'], email: EMAIL, scopes: [] } })
    return send('example-project')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  google.signing = `http://127.0.0.1:${port}/sign/`
  setEnvironment(t, {
    GOOGLE_APPLICATION_CREDENTIALS: undefined,
    GCE_METADATA_HOST: `127.0.0.1:${port}`,
    METADATA_SERVER_DETECTION: 'assume-present',
  })
  return google
}

function setEnvironment(t: Test, values: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(values)) {
    const before = process.env[name]
    t.teardown(() => restore(name, before))
    restore(name, value)
  }
}

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name]
  else process.env[name] = value
}
