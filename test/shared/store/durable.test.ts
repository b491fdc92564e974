import { createHash } from 'node:crypto'
import callbacks, { readlinkSync } from 'node:fs'
import fs, { type FileHandle, mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import type { ObjectName } from '#shared/contracts/names.ts'
import { fileStore } from '#shared/store/file/file-store.ts'
import { fileUploads } from '../../../services/ingest/masters/file-uploads.ts'

// What has a name is on the disk: the order of system calls, and an NFS server whose answer was lost.
const BINARY = { contentType: 'application/octet-stream' }
const bytes = Buffer.from('all of it')
const sha256 = createHash('sha256').update(bytes).digest('hex')
async function* body() {
  yield bytes.subarray(0, 3)
  yield bytes.subarray(3)
}

const real = { link: fs.link }
/** What happens to a link(2), and what was made durable when. */
const watching: { calls: string[]; link: typeof fs.link } = { calls: [], link: real.link }

const probe = await open(import.meta.filename)
const handle = Object.getPrototypeOf(probe) as FileHandle
await probe.close()
for (const method of ['sync', 'datasync'] as const) {
  const original = handle[method]
  handle[method] = async function (this: FileHandle) {
    const path = readlinkSync(`/proc/self/fd/${this.fd}`)
    await original.call(this)
    watching.calls.push(`sync ${kindOf(path)}`)
  }
}
const { fsync } = callbacks
callbacks.fsync = ((descriptor, done) => {
  const path = readlinkSync(`/proc/self/fd/${descriptor}`)
  fsync(descriptor, (error) => {
    watching.calls.push(`sync ${kindOf(path)}`)
    done(error)
  })
}) as typeof fsync
fs.link = async (from, to) => {
  watching.calls.push('link')
  await watching.link(from, to)
}
syncBuiltinESMExports()

function kindOf(path: string): string {
  return /^\.~/.test(basename(path)) ? 'file' : 'folder'
}

async function folderFor(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'durable-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  watching.calls = []
  watching.link = real.link
  return folder
}

/** The bytes first, then their name, then the folder that has the name. */
function isDurable(t: Test, what: string): void {
  const { calls } = watching
  const at = calls.indexOf('link')
  t.ok(calls.slice(0, at).includes('sync file'), `${what}: ${calls}`)
  t.ok(calls.slice(at).includes('sync folder'), `${what}: ${calls}`)
}

const piece = (over: object) => ({
  ...{ body: body(), offset: 0, isLast: true, mostBytes: 1e6, length: undefined },
  ...{ sha256: undefined, signal: undefined },
  ...over,
})

t.test('an object has its name when its bytes are on the disk', async (t) => {
  const store = fileStore(await folderFor(t))
  t.equal(await store.create('a/b/c' as ObjectName, bytes, BINARY), 'created')
  isDurable(t, 'bytes')
  watching.calls = []
  t.equal(await store.create('a/b/d' as ObjectName, body(), BINARY), 'created')
  isDurable(t, 'a stream')
  watching.calls = []
  t.equal(await store.create('a/b/c' as ObjectName, bytes, BINARY), 'exists')
  t.ok(watching.calls.includes('sync folder'), 'its creator may not have got so far')
})

t.test('an upload has its name when its bytes are on the disk', async (t) => {
  const folder = await folderFor(t)
  const uploads = fileUploads(folder, fileStore(folder))
  const incoming = await uploads.receive(body(), { mostBytes: 1e6 })
  t.match(await incoming.keep('whole'), { sha256, created: true })
  isDurable(t, 'at once')
  watching.calls = []
  const stored = await uploads.resumable?.append('pieces', 'u', piece({}) as never)
  t.match(stored, { state: 'whole', stored: { sha256, created: true } })
  isDurable(t, 'in pieces')
  watching.calls = []
  const some = piece({ isLast: false, offset: undefined })
  t.match(await uploads.resumable?.append('pieces', 'v', some as never), { state: 'partial' })
  t.same(watching.calls, ['sync file'], 'a client that learns how much has come may rely on it')
})

t.test('a link that answers EEXIST although it was made has been made', async (t) => {
  const folder = await folderFor(t)
  const store = fileStore(folder)
  const name = 'job/x' as ObjectName
  const exists = () => Object.assign(new Error('EEXIST'), { code: 'EEXIST' })
  // The answer of an NFS server was lost, and the client has sent the link again.
  watching.link = async (from, to) => {
    await real.link(from, to)
    throw exists()
  }
  t.equal(await store.create(name, bytes, BINARY), 'created')
  t.same(await readdir(join(folder, 'job')), ['x'])
  t.ok(bytes.equals(await readFile(join(folder, name))))
  t.equal(await store.create(name, bytes, BINARY), 'exists', 'somebody else had been there')

  const uploads = fileUploads(folder, store)
  const incoming = await uploads.receive(body(), { mostBytes: 1e6 })
  t.match(await incoming.keep('guid'), { sha256, created: true })
  t.match(await uploads.resumable?.append('other', 'u', piece({}) as never), {
    state: 'whole',
    stored: { sha256 },
  })
  t.ok(bytes.equals(await readFile(join(folder, 'other', `${sha256}.upload`))))
})

t.test('what can not be written has no name, and leaves nothing', async (t) => {
  const folder = await folderFor(t)
  const store = fileStore(folder)
  watching.link = async () => {
    throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
  }
  await t.rejects(store.create('job/x' as ObjectName, bytes, BINARY), { code: 'ENOSPC' })
  async function* broken() {
    yield bytes
    throw new Error('it breaks off')
  }
  await t.rejects(store.create('job/y' as ObjectName, broken(), BINARY), /breaks off/)
  t.same(await readdir(join(folder, 'job')), [])
  const uploads = fileUploads(folder, store)
  await t.rejects(uploads.receive(broken(), { mostBytes: 1e6 }), /breaks off/)
  t.same(await readdir(folder), ['job'])
})
