import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { crc32c, crc32cText } from '#shared/store/gcs/crc32c.ts'
import { uploadMaster } from '../../../../tools/client/upload.ts'
import { startGcsServer } from '../../../../tools/fakes/gcs-server.ts'
import { patient } from '../../../support/patience.ts'
import { bodyOf, post, sha256, startApi } from '../api.ts'

const gcs = await startGcsServer('masters')
const api = await startApi()
const cloud = await api.replica({ uploads: 'gs://masters/uploads', storage: gcs.endpoint })
t.teardown(async () => {
  await api.close()
  await gcs.close()
})
const objects = gcs.buckets.get('masters')
const audio = randomBytes(9_000_000)
const digest = `sha-256=:${createHash('sha256').update(audio).digest('base64')}:`

function put(guid: string, body: Uint8Array, headers: Record<string, string> = {}) {
  const url = `${cloud.url}/v1/masters/${guid}`
  return fetch(url, { method: 'PUT', headers, body: Buffer.from(body) })
}

t.test('a master is stored under its sha256, once', async (t) => {
  const response = await put('one', audio)
  t.equal(response.status, 201)
  t.match(await response.json(), {
    master_uri: `upload:one/${sha256(audio)}`,
    bytes: audio.length,
  })
  t.ok(objects?.get(`uploads/one/${sha256(audio)}.upload`)?.bytes.equals(audio))
  t.equal((await put('one', audio)).status, 200)
})

t.test('with its digest announced it goes straight on, and is checked', async (t) => {
  t.equal((await put('two', audio, { 'repr-digest': digest })).status, 201)
  t.ok(objects?.get(`uploads/two/${sha256(audio)}.upload`)?.bytes.equals(audio))
  const damaged = Buffer.concat([audio.subarray(1), audio.subarray(0, 1)])
  const refused = await put('three', damaged, { 'repr-digest': digest })
  t.equal(refused.status, 422)
  t.match(await refused.json(), { code: 'DIGEST_MISMATCH' })
  t.notOk([...(objects?.keys() ?? [])].some((name) => name.startsWith('uploads/three/')))
})

t.test('a large one has a session of its own, past this service', async (t) => {
  const body = { sha256: sha256(audio), bytes: audio.length }
  const ask = () => post(`${cloud.url}/v1/masters/four`, body)
  const { url, master_uri } = await bodyOf(ask())
  t.match(url, /^http.*upload/)
  const sent = await fetch(url, { method: 'PUT', body: audio })
  t.ok(sent.ok)
  t.ok(objects?.get(`uploads/four/${sha256(audio)}.upload`)?.bytes.equals(audio))
  t.equal(master_uri, `upload:four/${sha256(audio)}`)
  t.match(await (await ask()).json(), { url: null, master_uri })
})

t.test('the session is for the site whose page has asked for it', async (t) => {
  const asked = async (guid: string, headers: Record<string, string>) => {
    gcs.requests.splice(0)
    const body = JSON.stringify({ sha256: sha256(audio), bytes: audio.length })
    const json = { 'content-type': 'application/json', ...headers }
    const url = `${cloud.url}/v1/masters/${guid}`
    t.equal((await fetch(url, { method: 'POST', headers: json, body })).status, 200)
    return gcs.requests.find(({ line }) => line.includes('uploadType=resumable'))?.origin
  }
  t.equal(await asked('page', { origin: cloud.url }), cloud.url)
  t.equal(await asked('terminal', {}), undefined)
})

t.test('resuming is by the session alone', async (t) => {
  const response = await fetch(`${cloud.url}/v1/masters/five?upload=a`, {
    method: 'PUT',
    body: 'audio',
  })
  t.equal(response.status, 400)
  t.match(await response.json(), { code: 'BAD_REQUEST', detail: /POST to this address/ })
})

t.test('a form works there as well', async (t) => {
  const form = new FormData()
  form.set('file', new Blob([audio]), 'Song.wav')
  const response = await fetch(`${cloud.url}/v1/jobs`, { method: 'POST', body: form })
  t.equal(response.status, 202)
  const { asset_guid } = await bodyOf(response)
  t.ok(objects?.get(`uploads/${asset_guid}/${sha256(audio)}.upload`)?.bytes.equals(audio))
})

t.test('Cloud Storage that does not answer is no fault of the client', async (t) => {
  gcs.faults.push({ on: /./, times: 1000, status: 403 })
  const response = await put('six', randomBytes(10))
  t.equal(response.status, 503)
  t.match(await response.json(), { code: 'UPSTREAM_DOWN' })
  gcs.faults.length = 0
})

const sum = crc32cText(crc32c(audio))
const held = (guid: string) => objects?.get(`uploads/${guid}/${sha256(audio)}.upload`)?.bytes

t.test('a session takes no other bytes than those whose checksum was announced', async (t) => {
  const ask = (guid: string, more: object) =>
    post(`${cloud.url}/v1/masters/${guid}`, { sha256: sha256(audio), ...more })
  const damaged = Buffer.from(audio)
  damaged[5_000_000] = (damaged[5_000_000] ?? 0) ^ 1
  const first = await bodyOf(ask('summed', { crc32c: sum }))
  t.equal((await fetch(first.url, { method: 'PUT', body: damaged })).status, 400)
  t.equal(held('summed'), undefined)
  const second = await bodyOf(ask('summed', { crc32c: sum }))
  t.equal((await fetch(second.url, { method: 'PUT', body: audio })).status, 200)
  t.ok(held('summed')?.equals(audio))
  t.match(await (await ask('summed', { crc32c: sum })).json(), { url: null })

  gcs.put('masters', `uploads/old/${sha256(audio)}.upload`, damaged)
  const other = await ask('old', { crc32c: sum })
  t.equal(other.status, 500)
  t.match(await other.json(), { code: 'OTHER_BYTES' })
  t.equal((await ask('odd', { crc32c: 'nonsense' })).status, 400)
})

t.test('a command that uploads by a session sends again what arrived damaged', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'upload-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'master.wav')
  await writeFile(path, audio)
  const signal = AbortSignal.timeout(patient(30_000))
  const send = (guid: string) =>
    uploadMaster({ url: cloud.url, token: undefined }, guid, path, {
      ...{ sha256: sha256(audio), mayReplace: true, signal },
    })
  gcs.faults.push({ on: /^PUT/, flipUp: 4_000_000, times: 2 })
  t.match(await send('command'), { master_uri: /^upload:command/ })
  t.ok(held('command')?.equals(audio))
  gcs.faults.push({ on: /^PUT/, flipUp: 4_000_000, times: 99 })
  await t.rejects(send('command-2'), /400/)
  t.equal(held('command-2'), undefined)
  gcs.faults.length = 0
})

t.test('what is damaged between this service and the bucket is sent again', async (t) => {
  gcs.faults.push({ on: /^PUT/, flipUp: 100, times: 2 })
  t.equal((await put('between', audio)).status, 201)
  t.ok(held('between')?.equals(audio))
  gcs.faults.push({ on: /^PUT/, flipUp: 100, times: 99 })
  const response = await put('between-2', audio)
  t.equal(response.status, 503)
  t.match(await response.json(), { code: 'UPSTREAM_DOWN' })
  t.equal(held('between-2'), undefined)
  gcs.faults.length = 0
})
