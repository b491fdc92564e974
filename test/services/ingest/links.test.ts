import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import pino from 'pino'
import t from 'tap'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import type { AssetLink } from '#shared/contracts/api/track.ts'
import type { RunEnded } from '#shared/contracts/messages/run.ts'
import { assetName, jobId, type Revision } from '#shared/contracts/names.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { openStore } from '#shared/store/open.ts'
import { linkSigner } from '../../../services/ingest/tracks/link-signer.ts'
import { startGcsServer } from '../../../tools/fakes/gcs-server.ts'
import { bodyOf, startApi } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())

const guid = 'a~track.1'
const asset = 'aac-128'
const [first, second] = ['x01', 'x02'].map((revision) => ({
  revision: revision as Revision,
  bytes: randomBytes(50_000),
})) as [{ revision: Revision; bytes: Buffer }, { revision: Revision; bytes: Buffer }]

const token = randomUUID()
const tokens = [createHash('sha256').update(token).digest('hex')]
const KEYS = ['a', 'b', 'c'].map((letter) => letter.repeat(32)) as [string, string, string]
const guarded = await api.replica({ tokens, link_keys: [KEYS[0]] })
await make(first)

async function make({ revision, bytes }: typeof first, store: StoreDriver = api.assets) {
  const request = { request_id: randomUUID(), asset_guid: guid, derivative_assets: [asset] }
  const ended: RunEnded = {
    ...{ request, job: jobId(request.request_id, guid), run: 1, route: 'cloud', restarts: 0 },
    accepted: new Date().toISOString(),
    master: { uri: 'file:///mnt/masters/a.wav', revision, samples: 441_000, layout: 'WAV' },
    verdicts: { [asset]: { state: 'made', version: 1, files: { m4a: bytes.length } } },
  }
  await recordRuns(api.database, [ended])
  const name = assetName(guid, revision, { id: asset, version: 1 }, 'm4a')
  await store.create(name, bytes, { contentType: 'audio/mp4' })
}

async function linkAt(url: string, query = '', name: string = asset): Promise<AssetLink> {
  const headers = { authorization: `Bearer ${token}` }
  const response = await fetch(`${url}/v1/tracks/${guid}/assets/${name}/link${query}`, {
    headers,
  })
  if (response.status !== 200) throw new Error(await response.text())
  return (await response.json()) as AssetLink
}

t.test('a link is fetched without a token, and says what it leads to', async (t) => {
  const before = Date.now()
  const link = await linkAt(guarded.url)
  t.match(link, {
    ...{ asset, version: 1, revision: 'x01', bytes: 50_000, type: 'audio/mp4' },
    ...{
      file_name: `${guid}.${asset}.m4a`,
      url: /^\/v1\/links\/a~track\.1\/x01\/aac-128@1\.m4a\?/,
    },
  })
  const lasts = Date.parse(link.expires) - before
  t.ok(lasts >= 3_600_000 && lasts < 3_661_000, `${lasts} ms`)
  const response = await fetch(guarded.url + link.url)
  t.equal(response.status, 200)
  t.ok(Buffer.from(await response.arrayBuffer()).equals(first.bytes))
  t.equal(response.headers.get('content-type'), 'audio/mp4')
  t.equal(
    response.headers.get('content-disposition'),
    `inline; filename="${guid}.${asset}.m4a"`,
  )
  t.equal(response.headers.get('cross-origin-resource-policy'), 'same-origin')
})

t.test('who makes one needs the scope read; what it names has to be there', async (t) => {
  const at = `${guarded.url}/v1/tracks/${guid}/assets/${asset}/link`
  t.equal((await fetch(at)).status, 401)
  t.match(await bodyOf(fetch(`${api.url}/v1/tracks/${guid}/assets/bpm/link`)), { status: 404 })
  t.match(await bodyOf(fetch(`${api.url}/v1/tracks/none/assets/bpm/link`)), { status: 404 })
  for (const query of ['expires_in=0', 'expires_in=604801', 'expires_in=1.5', 'tags=1']) {
    const url = `${api.url}/v1/tracks/${guid}/assets/${asset}/link?${query}`
    t.match(await bodyOf(fetch(url)), { status: 400 }, query)
  }
  t.ok(await linkAt(api.url, '?expires_in=604800'))
})

t.test('ranges, HEAD and ETag work as with a token', async (t) => {
  const { url } = await linkAt(guarded.url)
  const at = (init: RequestInit) => fetch(guarded.url + url, init)
  const head = await at({ method: 'HEAD' })
  t.equal(head.status, 200)
  t.equal(head.headers.get('content-length'), '50000')
  t.equal(head.headers.get('accept-ranges'), 'bytes')
  const authorization = `Bearer ${token}`
  const own = await fetch(`${guarded.url}/v1/tracks/${guid}/assets/${asset}`, {
    method: 'HEAD',
    headers: { authorization },
  })
  const etag = head.headers.get('etag') as string
  t.equal(etag, own.headers.get('etag'))
  const part = await at({ headers: { range: 'bytes=100-199', 'if-range': etag } })
  t.equal(part.status, 206)
  t.equal(part.headers.get('content-range'), 'bytes 100-199/50000')
  t.ok(Buffer.from(await part.arrayBuffer()).equals(first.bytes.subarray(100, 200)))
  t.equal((await at({ headers: { 'if-none-match': etag } })).status, 304)
  const outside = await at({ headers: { range: 'bytes=50000-' } })
  t.equal(outside.status, 416)
  t.equal(outside.headers.get('content-range'), 'bytes */50000')
  t.equal((await at({ method: 'POST' })).status, 405)
})

t.test('changed in any byte it opens nothing', async (t) => {
  const { url } = await linkAt(guarded.url)
  const begin = '/v1/links/'.length
  const seen = new Set<number>()
  for (let index = begin; index < url.length; index++) {
    const old = url[index] as string
    const changed = old === 'b' ? 'c' : 'b'
    const response = await fetch(
      guarded.url + url.slice(0, index) + changed + url.slice(index + 1),
    )
    seen.add(response.status)
    // Without one of its slashes it is no address of ours, or with one more name of a parameter none that is signed.
    const expected = '/?'.includes(old) ? [403, 404] : [403]
    t.ok(expected.includes(response.status), `${index} ${old}: ${response.status}`)
    await response.arrayBuffer()
  }
  for (const more of ['&tags=1', '=', 'A', '&x'])
    t.match(await bodyOf(fetch(guarded.url + url + more)), { code: 'LINK_INVALID' }, more)
  // The last letter has bits that are no part of the signature.
  const bytes = (letter: string) => Buffer.from(url.slice(-43, -1) + letter, 'base64url')
  const same = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'].filter(
    (letter) => bytes(letter).equals(bytes(url.slice(-1))),
  )
  t.equal(same.length, 4)
  for (const letter of same) {
    const status = url.endsWith(letter) ? 200 : 403
    t.equal((await fetch(guarded.url + url.slice(0, -1) + letter)).status, status, letter)
  }
  const bare = url.replace(/\?.*/, '')
  t.match(await bodyOf(fetch(guarded.url + bare)), { status: 403, code: 'LINK_INVALID' })
  t.same([...seen].sort(), [403, 404])
})

t.test('it expires, and says since when', async (t) => {
  const link = await linkAt(guarded.url, '?expires_in=1')
  t.equal((await fetch(guarded.url + link.url)).status, 200)
  await sleep(Date.parse(link.expires) - Date.now() + 20)
  const response = await fetch(guarded.url + link.url)
  t.equal(response.status, 403)
  t.match(await response.json(), {
    code: 'LINK_EXPIRED',
    detail: `The address has expired at ${link.expires.replace('.000', '')}.`,
    at: 'query expires',
  })
  const later = new URL(link.url, guarded.url)
  later.searchParams.set('expires', `${Math.ceil(Date.now() / 1000) + 100}`)
  t.match(await bodyOf(fetch(later)), { code: 'LINK_INVALID' })
})

t.test('it leads to what was there when it was made', async (t) => {
  const { url } = await linkAt(api.url)
  await make(second)
  const old = await fetch(api.url + url)
  t.ok(Buffer.from(await old.arrayBuffer()).equals(first.bytes))
  const now = await linkAt(api.url)
  t.equal(now.revision, 'x02')
  const current = await fetch(api.url + now.url)
  t.ok(Buffer.from(await current.arrayBuffer()).equals(second.bytes))
  await api.assets.remove(assetName(guid, first.revision, { id: asset, version: 1 }, 'm4a'))
  t.match(await bodyOf(fetch(api.url + url)), { status: 404, code: 'NOT_FOUND' })
})

t.test('keys are replaced one after the other', async (t) => {
  const [oldest, middle, newest] = KEYS
  const file = {
    ...{ guid, revision: second.revision, asset: { id: asset, version: 1 } },
    extension: 'm4a',
  }
  const at = await api.replica({ tokens, link_keys: [newest, middle] })
  const statusOf = async (keys: readonly string[]) =>
    (await fetch(at.url + linkSigner(keys).sign(file, 60).url)).status
  t.equal(await statusOf([newest]), 200)
  t.equal(await statusOf([middle, newest]), 200)
  t.equal(await statusOf([oldest]), 403)
  t.equal((await linkAt(at.url)).url.length, linkSigner([newest]).sign(file, 60).url.length)
  const { url } = await linkAt(at.url)
  const onlyNewest = await api.replica({ tokens, link_keys: [newest] })
  t.equal((await fetch(onlyNewest.url + url)).status, 200, 'the first key signs')
})

t.test('no signature stands in the log, at any level', async (t) => {
  const lines: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) })
  const at = await api.replica({ log: log as never, tokens, link_keys: [KEYS[0]] })
  const { url } = await linkAt(at.url)
  const signature = new URL(url, at.url).searchParams.get('signature') as string
  for (const each of [url, `${url}&tags=1`, `${url}0`, url.replace('/x02/', '/x03/')])
    await fetch(at.url + each).then((it) => it.arrayBuffer())
  t.match(lines.join(''), /"route":"\/v1\/links\/:asset_guid\/:revision\/:file","status":403/)
  t.notOk(lines.join('').includes(signature))
})

t.test(
  'of a bucket that clients cannot reach, the bytes go through this service',
  async (t) => {
    const gcs = await startGcsServer('bucket')
    const store = openStore('gs://bucket/here', { apiEndpoint: gcs.endpoint })
    t.teardown(() => gcs.close())
    await make(second, store)
    const at = await api.replica({ assets: store })
    const { url } = await linkAt(at.url)
    const part = await fetch(at.url + url, { headers: { range: 'bytes=-10' } })
    t.equal(part.status, 206)
    t.ok(Buffer.from(await part.arrayBuffer()).equals(second.bytes.subarray(-10)))
  },
)

t.test(
  'of one that signs, the address is its own, and ingest has no bytes of it',
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'trackchain-test-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const asked: unknown[] = []
    const expires = new Date('2030-01-01T00:00:00.000Z')
    const signing: StoreDriver = {
      ...openStore(pathToFileURL(folder).href),
      async link(name, { signal: _, ...options }) {
        asked.push({ name, ...options })
        return { url: 'https://storage.googleapis.com/bucket/x?X-Goog-Signature=1', expires }
      },
    }
    await make(second, signing)
    const at = await api.replica({ assets: signing })
    t.match(await linkAt(at.url, '?expires_in=77', `${asset}.m4a`), {
      url: 'https://storage.googleapis.com/bucket/x?X-Goog-Signature=1',
      expires: expires.toISOString(),
    })
    t.same(asked, [
      {
        name: `assets/${guid}/x02/aac-128@1.m4a`,
        ...{ contentType: 'audio/mp4', expiresInSeconds: 77 },
        disposition: `inline; filename="${guid}.aac-128.m4a"`,
      },
    ])
  },
)
