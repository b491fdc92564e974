import { randomBytes } from 'node:crypto'
import {
  appendFile,
  mkdir,
  open,
  readdir,
  readFile,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { bodyOf, sha256, startApi, until } from '../api.ts'

/** A finished upload has the bytes of its sha256, even if another writer still has the file open. */

const api = await startApi()
const other = await api.replica()
t.teardown(() => api.close())
const audio = randomBytes(2_000_000)

function put(url: string, body: Uint8Array, headers: Record<string, string> = {}) {
  return fetch(url, { method: 'PUT', headers, body: Buffer.from(body) })
}

const folderOf = (guid: string) => join(api.uploads, guid)
const finished = (guid: string) => join(folderOf(guid), `${sha256(audio)}.upload`)

t.test('a writer that pauses, and writes on when another has finished', async (t) => {
  const head = `PUT /v1/masters/paused?upload=p HTTP/1.1\r\nhost: localhost\r\n`
  const socket = connect(api.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(`${head}content-length: ${2 * audio.length}\r\n\r\n`)
  socket.write(audio.subarray(0, 700_000))
  const mine = async () =>
    (await readdir(folderOf('paused'))).find((each) => each.startsWith('.~p@'))
  await until('its bytes', async () => {
    const name = await mine().catch(() => undefined)
    return name !== undefined && (await stat(join(folderOf('paused'), name))).size === 700_000
  })
  const path = join(folderOf('paused'), String(await mine()))
  const late = await open(path, 'r+')
  const longAgo = new Date(Date.now() - 60_000)
  await utimes(path, longAgo, longAgo)

  const rest = { 'upload-offset': '700000' }
  const response = await put(
    `${other.url}/v1/masters/paused?upload=p`,
    audio.subarray(700_000),
    rest,
  )
  t.equal(response.status, 201)
  t.equal((await bodyOf(response)).sha256, sha256(audio))
  t.ok(audio.equals(await readFile(finished('paused'))))

  // The writer that had paused, and any other writer that had the file open.
  socket.write(randomBytes(500_000))
  await late.write(randomBytes(1000), 0, 1000, 5)
  await until('its bytes', async () => (await late.stat()).size >= 1_200_000)
  await late.close()
  socket.destroy()
  t.ok(audio.equals(await readFile(finished('paused'))), 'the finished one is as it was')
})

t.test('a finished upload has one name, and may not be written to', async (t) => {
  const first = { 'upload-offset': '0', 'upload-complete': '?0' }
  const url = `${api.url}/v1/masters/named`
  t.equal((await put(`${url}?upload=a`, audio.subarray(0, 1000), first)).status, 202)
  const last = { 'upload-offset': '1000' }
  t.equal((await put(`${url}?upload=a`, audio.subarray(1000), last)).status, 201)
  t.equal((await put(url, audio)).status, 200)
  t.equal((await put(`${api.url}/v1/masters/plain`, audio)).status, 201)
  for (const guid of ['named', 'plain']) {
    const found = await stat(finished(guid))
    t.equal(found.nlink, 1)
    t.equal(found.mode & 0o222, 0)
  }
  for (const name of (await readdir(folderOf('named'))).filter((each) => each.startsWith('.~')))
    await appendFile(join(folderOf('named'), name), 'more')
  t.ok(audio.equals(await readFile(finished('named'))))
  const again = await put(`${url}?upload=a`, audio.subarray(0, 5), { 'upload-offset': '5' })
  t.equal(again.status, 409)
  t.ok(audio.equals(await readFile(finished('named'))))
})

t.test('other bytes under the name of an upload are not believed', async (t) => {
  const damaged = Buffer.from(audio)
  damaged[1_000_000] = (damaged[1_000_000] ?? 0) ^ 1
  await mkdir(folderOf('damaged'), { recursive: true })
  await writeFile(finished('damaged'), damaged)
  for (const query of ['', '?upload=d']) {
    const response = await put(`${api.url}/v1/masters/damaged${query}`, audio)
    t.equal(response.status, 500)
    t.match(await response.json(), { code: 'OTHER_BYTES' })
  }
  t.ok(damaged.equals(await readFile(finished('damaged'))), 'nothing is overwritten')
})
