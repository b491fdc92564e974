import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { link, readdir, readFile, rm, utimes } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { fileStore } from '#shared/store/file/file-store.ts'
import { locate } from '#shared/store/open.ts'
import { findMaster } from '../../../../services/stage/find-master.ts'
import { timeLimit } from '../../../support/patience.ts'
import { bodyOf, post, sha256, startApi, until } from '../api.ts'

const api = await startApi()
const other = await api.replica()
t.teardown(() => api.close())
const at = (guid: string, query = '') => `${api.url}/v1/masters/${guid}${query}`
const audio = randomBytes(3_000_000)
const digest = `sha-256=:${createHash('sha256').update(audio).digest('base64')}:`

function put(url: string, body: Uint8Array, headers: Record<string, string> = {}) {
  return fetch(url, { method: 'PUT', headers, body: Buffer.from(body) })
}

async function standing(guid: string, upload: string, url = api.url) {
  const { status, headers } = await fetch(`${url}/v1/masters/${guid}?upload=${upload}`, {
    method: 'HEAD',
  })
  return {
    status,
    offset: headers.get('upload-offset'),
    complete: headers.get('upload-complete'),
  }
}

/** Sends the head and these bytes, then resets the connection. */
async function breakOff(head: string, bytes: Uint8Array) {
  const socket = connect(api.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(`${head}\r\nhost: localhost\r\ncontent-length: ${audio.length}\r\n\r\n`)
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()))
  socket.end()
  socket.resume()
  await once(socket, 'close')
}

/** The files in a track's folder, finished or not. */
async function files(guid: string): Promise<string[]> {
  return (await readdir(join(api.uploads, guid)).catch(() => [])).sort()
}

t.test('a master is stored under its sha256, and stage finds it', async (t) => {
  const response = await put(at('whole'), audio)
  t.equal(response.status, 201)
  const stored = await bodyOf(response)
  t.match(stored, { asset_guid: 'whole', sha256: sha256(audio), bytes: audio.length })
  t.equal(stored.master_uri, `upload:${stored.asset_guid}/${sha256(audio)}`)
  t.ok(
    audio.equals(
      await readFile(join(api.uploads, stored.asset_guid, `${sha256(audio)}.upload`)),
    ),
  )
  t.strictSame(await files('whole'), [`${sha256(audio)}.upload`])
  const found = await findMaster(['upload:whole'], {
    locate,
    uploads: fileStore(api.uploads),
    accepted: new Date().toISOString(),
    waitSeconds: 0,
    signal: timeLimit(5000),
  })
  t.equal(found.revision, `x${sha256(audio).slice(0, 32)}`)
})

t.test('the same bytes are stored once; others beside them', async (t) => {
  t.equal((await put(at('whole'), audio, { 'repr-digest': digest })).status, 200)
  t.equal((await put(at('whole'), audio.subarray(1))).status, 201)
  t.equal((await files('whole')).length, 2)
})

t.test('a body of unknown length is taken', async (t) => {
  async function* chunks() {
    for (let from = 0; from < audio.length; from += 100_000) {
      yield audio.subarray(from, from + 100_000)
    }
  }
  const response = await fetch(at('chunked'), {
    method: 'PUT',
    body: chunks(),
    duplex: 'half',
  } as RequestInit)
  t.equal(response.status, 201)
  t.equal((await bodyOf(response)).sha256, sha256(audio))
})

t.test('a master that arrives damaged is not stored', async (t) => {
  const damaged = Buffer.from(audio)
  damaged[1000] = (damaged[1000] ?? 0) ^ 1
  for (const header of ['repr-digest', 'content-digest']) {
    const response = await put(at('damaged'), damaged, { [header]: digest })
    t.equal(response.status, 422)
    t.match(await response.json(), { code: 'DIGEST_MISMATCH' })
  }
  t.strictSame(await files('damaged'), [])
})

t.test('a master that breaks off is not stored, and leaves nothing', async (t) => {
  await breakOff('PUT /v1/masters/broken HTTP/1.1', audio.subarray(0, 1_000_000))
  await until('the clean-up', async () =>
    (await readdir(api.uploads)).every((name) => !name.startsWith('.~')),
  )
  t.strictSame(await files('broken'), [])
})

t.test('a master beyond the limit is refused, announced or not', async (t) => {
  const small = await api.replica({ max_upload_mib: 1 })
  const url = `${small.url}/v1/masters/large`
  t.match(await (await put(url, audio)).json(), { status: 413, code: 'TOO_LARGE' })
  async function* chunks() {
    for (let count = 0; count < 30; count++) yield Buffer.alloc(100_000)
  }
  const streamed = await fetch(url, {
    method: 'PUT',
    body: chunks(),
    duplex: 'half',
  } as RequestInit)
  t.match(await streamed.json(), { status: 413, code: 'TOO_LARGE' })
  const piece = await put(`${url}?upload=u`, audio.subarray(0, 600_000), {
    'upload-offset': '0',
    'upload-complete': '?0',
  })
  t.equal(piece.status, 202)
  const rest = await put(`${url}?upload=u`, audio.subarray(600_000, 1_200_000), {
    'upload-offset': '600000',
  })
  t.equal(rest.status, 413)
  t.notOk((await files('large')).some((name) => name.endsWith('.upload')))
})

t.test('an upload that broke off goes on from where it stands, on any replica', async (t) => {
  t.strictSame((await standing('resumed', 'a')).status, 404)
  await breakOff('PUT /v1/masters/resumed?upload=a HTTP/1.1', audio.subarray(0, 1_000_000))
  await until('the partial', async () => (await files('resumed')).includes('.~a@idle'))
  const { status, offset, complete } = await standing('resumed', 'a', other.url)
  t.strictSame({ status, complete }, { status: 200, complete: '?0' })
  const from = Number(offset)
  t.ok(from > 0 && from <= 1_000_000)
  const response = await put(`${other.url}/v1/masters/resumed?upload=a`, audio.subarray(from), {
    'upload-offset': String(from),
    'repr-digest': digest,
  })
  t.equal(response.status, 201)
  t.equal((await bodyOf(response)).sha256, sha256(audio))
  t.ok(audio.equals(await readFile(join(api.uploads, 'resumed', `${sha256(audio)}.upload`))))
  t.match(await standing('resumed', 'a'), { offset: String(audio.length), complete: '?1' })
})

t.test('who did not hear that the upload is whole may send its end again', async (t) => {
  const again = await put(at('resumed', '?upload=a'), new Uint8Array(0), {
    'upload-offset': String(audio.length),
  })
  t.equal(again.status, 200)
  t.match(await again.json(), { sha256: sha256(audio), bytes: audio.length })
  const wrong = await put(at('resumed', '?upload=a'), audio.subarray(0, 10), {
    'upload-offset': '10',
  })
  t.equal(wrong.status, 409)
})

t.test('pieces by Content-Range become one master', async (t) => {
  const size = 1_000_000
  for (let from = 0; from < audio.length; from += size) {
    const end = Math.min(from + size, audio.length)
    const response = await put(at('ranges', '?upload=r'), audio.subarray(from, end), {
      'content-range': `bytes ${from}-${end - 1}/${audio.length}`,
    })
    t.equal(response.status, end === audio.length ? 201 : 202)
    t.equal(response.headers.get('upload-offset'), String(end))
  }
  t.ok((await files('ranges')).includes(`${sha256(audio)}.upload`))
})

t.test('a piece that does not begin where the upload stands is refused', async (t) => {
  const first = { 'upload-offset': '0', 'upload-complete': '?0' }
  t.equal((await put(at('gaps', '?upload=g'), audio.subarray(0, 500), first)).status, 202)
  for (const offset of ['0', '499', '501']) {
    const response = await put(at('gaps', '?upload=g'), audio, { 'upload-offset': offset })
    t.equal(response.status, 409)
    t.equal(response.headers.get('upload-offset'), '500')
    t.match(await response.json(), { code: 'UPLOAD_CONFLICT', detail: /stands at 500/ })
  }
  const unknown = await put(at('gaps', '?upload=h'), audio, { 'upload-offset': '7' })
  t.equal(unknown.status, 409)
  t.equal(unknown.headers.get('upload-offset'), '0')
  const begun = await put(at('gaps', '?upload=g'), audio)
  t.equal(begun.status, 201, 'without an offset it begins anew')
})

t.test('a resumed upload whose digest is another is thrown away', async (t) => {
  const first = { 'upload-offset': '0', 'upload-complete': '?0' }
  await put(at('mixed', '?upload=m'), audio.subarray(5, 505), first)
  const response = await put(at('mixed', '?upload=m'), audio.subarray(500), {
    'upload-offset': '500',
    'repr-digest': digest,
  })
  t.equal(response.status, 422)
  t.strictSame(await files('mixed'), [])
})

t.test('a client that sends again takes over from a request that hangs', async (t) => {
  const socket = connect(api.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(
    `PUT /v1/masters/hung?upload=h HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${audio.length}\r\n\r\n`,
  )
  socket.write(audio.subarray(0, 700_000))
  await until('its bytes', async () => (await standing('hung', 'h')).offset === '700000')
  const elsewhere = await put(
    `${other.url}/v1/masters/hung?upload=h`,
    audio.subarray(700_000),
    {
      'upload-offset': '700000',
    },
  )
  t.equal(elsewhere.status, 409, 'another replica cannot know that it hangs')
  t.match(await elsewhere.json(), { detail: /Another request is writing/ })
  const response = await put(at('hung', '?upload=h'), audio.subarray(700_000), {
    'upload-offset': '700000',
  })
  t.equal(response.status, 201)
  t.equal((await bodyOf(response)).sha256, sha256(audio))
  socket.destroy()
})

t.test('many at once with the same bytes make one master', async (t) => {
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      put(`${index % 2 ? api.url : other.url}/v1/masters/crowd?upload=c${index}`, audio),
    ),
  )
  const statuses = answers.map(({ status }) => status).sort()
  t.strictSame(statuses, [...Array(7).fill(200), 201])
  const finished = (await files('crowd')).filter((name) => !name.startsWith('.~'))
  t.strictSame(finished, [`${sha256(audio)}.upload`])
})

t.test('a POST says where to PUT', async (t) => {
  const response = await post(at('asked'), { sha256: sha256(audio), bytes: audio.length })
  t.equal(response.status, 200)
  const { url, ...rest } = (await response.json()) as {
    url: string
    headers: Record<string, string>
    master_uri: string
  }
  t.equal(rest.headers['repr-digest'], digest)
  const stored = await put(`${api.url}${url}`, audio, rest.headers)
  t.equal(stored.status, 201)
  t.equal((await bodyOf(stored)).master_uri, rest.master_uri)
})

t.test('a master that was removed can be uploaded again', async (t) => {
  await rm(join(api.uploads, 'resumed', `${sha256(audio)}.upload`))
  t.equal((await standing('resumed', 'a')).status, 404)
  t.equal((await put(at('resumed', '?upload=a'), audio)).status, 201)
})

t.test('a finished upload is not written to by the name that it had before', async (t) => {
  const guid = 'linked'
  t.equal((await put(at(guid), audio)).status, 201)
  const folder = join(api.uploads, guid)
  const master = join(folder, `${sha256(audio)}.upload`)
  // The upload was finished, but its process died before it could remove the other name.
  await link(master, join(folder, '.~dead@6b1e'))
  await utimes(master, 1, 1)
  for (const offset of [audio.length, 0, 1000]) {
    const headers = { 'upload-offset': String(offset) }
    await put(at(guid, '?upload=dead'), Buffer.from('more'), headers)
    t.ok(audio.equals(await readFile(master)), `at ${offset}`)
  }
  t.equal((await put(at(guid, '?upload=dead'), Buffer.from('anew'))).status, 201)
  t.ok(audio.equals(await readFile(master)))
})

t.test('the offsets that were never written to are listed nowhere', async (t) => {
  const store = fileStore(api.uploads)
  const names = await Array.fromAsync(store.list(''))
  t.ok(names.length > 0)
  t.ok(names.every(({ name }) => /^[\w-]+\/[0-9a-f]{64}\.upload$/.test(name)))
})

t.test('a half-closed connection gets the response that bytes are missing', async (t) => {
  const socket = connect(api.port, '127.0.0.1')
  socket.write('PUT /v1/masters/half?upload=x HTTP/1.1\r\nhost: localhost\r\n')
  socket.write('content-length: 50\r\n\r\n12345')
  await until('its bytes', async () => (await standing('half', 'x')).offset === '5')
  socket.end()
  const [answer] = await once(socket, 'data')
  t.match(answer.toString(), /^HTTP\/1\.1 400 .*"code":"UPLOAD_INCOMPLETE"/s)
  await until('the partial', async () => (await files('half')).includes('.~x@idle'))
})
