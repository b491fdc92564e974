import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdir,
  mkdtemp,
  open,
  readdir,
  rm,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { counting, noCounts } from '#shared/store/counting.ts'
import { fileStore } from '#shared/store/file/file-store.ts'
import { bytes, content, named, names, noise } from '../../conformance/store.ts'
import { until } from '../../support/patience.ts'

const BINARY = { contentType: 'application/octet-stream' }

async function emptyRoot(t: Test): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'file-store-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  return root
}

t.test('a process killed in the middle of a create leaves nothing to be seen', async (t) => {
  const root = await emptyRoot(t)
  const child = spawn(process.execPath, [
    '--input-type=module-typescript',
    '--eval',
    `import { fileStore } from ${JSON.stringify(import.meta.resolve('#shared/store/file/file-store.ts'))}
     async function* slowly() {
       while (true) { yield new Uint8Array(50_000); await new Promise((go) => setTimeout(go, 5)) }
     }
     fileStore(${JSON.stringify(root)}).create('job/1/slow.wav', slowly(), { contentType: 'x' })`,
  ])
  t.teardown(() => child.kill('SIGKILL'))
  const folder = join(root, 'job/1')
  let left: string[] = []
  for (let tries = 0; tries < 400; tries++) {
    await sleep(20)
    left = await readdir(folder).catch(() => [])
    const [only] = left
    if (only && (await stat(join(folder, only))).size > 200_000) break
  }
  t.equal(left.length, 1, 'it was in the middle')
  child.kill('SIGKILL')
  await once(child, 'exit')

  const store = fileStore(root)
  t.equal(await store.stat(named('job/1/slow.wav')), undefined)
  t.same(await names(store, ''), [])
  t.equal(await store.create(named('job/1/slow.wav'), bytes('whole'), BINARY), 'created')
  t.equal(await store.sweepTemporary(3_600_000), 0, 'it may still be under way')
  const [temporary] = (await readdir(folder)).filter((name) => name !== 'slow.wav')
  await utimes(join(folder, String(temporary)), 0, 0)
  t.equal(await store.sweepTemporary(3_600_000), 1)
  t.same(await readdir(folder), ['slow.wav'])
})

t.test('creators in several processes agree on which one created', async (t) => {
  const root = await emptyRoot(t)
  const program = `import { fileStore } from ${JSON.stringify(import.meta.resolve('#shared/store/file/file-store.ts'))}
    const store = fileStore(${JSON.stringify(root)})
    let created = 0
    for (let n = 0; n < 60; n++) {
      const body = new TextEncoder().encode(String(process.pid).repeat(1000))
      if (await store.create('shared/' + n, body, { contentType: 'x' }) === 'created') created++
    }
    console.log(created)`
  const counts = await Promise.all(
    [1, 2, 3].map(async () => {
      const child = spawn(process.execPath, [
        '--input-type=module-typescript',
        '--eval',
        program,
      ])
      const output: Buffer[] = []
      child.stdout.on('data', (chunk) => output.push(chunk))
      await once(child, 'close')
      return Number(Buffer.concat(output).toString())
    }),
  )
  t.equal(
    counts.reduce((sum, count) => sum + count),
    60,
  )
  for (const name of await names(fileStore(root), 'shared/')) {
    const text = (await content(fileStore(root), name)).toString()
    t.equal(text, text.slice(0, text.length / 1000).repeat(1000), 'whole, and of one creator')
  }
})

t.test('what is no regular file is refused, and never waited for', async (t) => {
  const root = await emptyRoot(t)
  const store = fileStore(root)
  execFileSync('mkfifo', [join(root, 'fifo.wav')])
  await mkdir(join(root, 'folder.wav'))
  const server = createServer().listen(join(root, 'socket.wav'))
  t.teardown(() => server.close())
  await once(server, 'listening')
  for (const [name, message] of [
    ['fifo.wav', /^a FIFO lies where a regular file should be$/],
    ['folder.wav', /^a directory lies where/],
  ] as const) {
    const refused = { name: 'StoreError', code: 'not-regular', message }
    await t.rejects(store.read(named(name)), refused)
    await t.rejects(store.stat(named(name)), refused)
    await t.rejects(store.create(named(name), bytes('x'), BINARY), refused)
  }
  await t.rejects(store.stat(named('socket.wav')), { message: /^a socket lies where/ })
  await t.rejects(store.read(named('socket.wav')))
  await t.rejects(store.remove(named('folder.wav')), { message: /a directory lies where/ })
  t.same(await names(store, ''), [])
  t.same((await readdir(root)).toSorted(), ['fifo.wav', 'folder.wav', 'socket.wav'])
})

t.test('symbolic links may lead about inside the root, but not out of it', async (t) => {
  const outside = await emptyRoot(t)
  await writeFile(join(outside, 'secret'), 'secret')
  const root = await emptyRoot(t)
  const store = fileStore(root)
  await store.create(named('real/a.wav'), bytes('a'), BINARY)
  await symlink('real/a.wav', join(root, 'inside.wav'))
  await symlink(join(outside, 'secret'), join(root, 'file.wav'))
  await symlink(outside, join(root, 'folder'))
  await symlink('/dev/zero', join(root, 'zero.wav'))
  await symlink('nowhere', join(root, 'dangling.wav'))

  t.equal((await content(store, 'inside.wav')).toString(), 'a')
  t.equal((await store.stat(named('inside.wav')))?.bytes, 1)
  const refused = { name: 'StoreError', code: 'out-of-bounds' }
  for (const name of ['file.wav', 'folder/secret', 'zero.wav']) {
    await t.rejects(store.read(named(name)), refused, name)
    await t.rejects(store.stat(named(name)), refused, name)
  }
  await t.rejects(store.create(named('folder/new'), bytes('x'), BINARY), refused)
  await t.rejects(store.create(named('folder/deep/new'), bytes('x'), BINARY), refused)
  await t.rejects(store.remove(named('folder/secret')), refused)
  await t.rejects(names(store, 'folder/'), refused)
  await store.removeAll('folder/')
  t.same(await readdir(outside), ['secret'])
  t.equal(await store.stat(named('dangling.wav')), undefined)
  t.same(await names(store, ''), ['inside.wav', 'real/a.wav'])
  t.equal((await names(fileStore(join(root, 'real')), '')).length, 1)
})

t.test('the root may itself be a symbolic link, and may change', async (t) => {
  const base = await emptyRoot(t)
  await mkdir(join(base, 'one'))
  await mkdir(join(base, 'two'))
  await symlink('one', join(base, 'link'))
  const store = fileStore(join(base, 'link'))
  t.equal(await store.create(named('x/y'), bytes('1'), BINARY), 'created')
  await unlink(join(base, 'link'))
  await symlink('two', join(base, 'link'))
  t.equal(await store.stat(named('x/y')), undefined)
  t.equal(await store.create(named('x/y'), bytes('2'), BINARY), 'created')
  t.same(await readdir(join(base, 'two')), ['x'])
})

t.test('a master that is written to while it is read is noticed', async (t) => {
  const root = await emptyRoot(t)
  const store = fileStore(root)
  const path = join(root, 'm.wav')
  const reading = async (meanwhile: () => Promise<void>) => {
    await writeFile(path, noise(3_000_000))
    const revision = (await store.stat(named('m.wav')))?.revision
    if (revision === undefined) throw new Error('no revision')
    const stream = await store.read(named('m.wav'), { revision })
    let isFirst = true
    for await (const _chunk of stream) {
      if (isFirst) await meanwhile()
      isFirst = false
    }
  }
  await reading(async () => {})
  const writeInto = async () => {
    const file = await open(path, 'r+')
    await file.write(Buffer.from('other'), 0, 5, 2_000_000)
    await file.utimes(new Date(), new Date(Date.now() + 1000))
    await file.close()
  }
  await t.rejects(reading(writeInto), { code: 'changed' })
  await t.rejects(
    reading(() => writeFile(path, noise(1_000_000))),
    { code: 'changed' },
  )
  await t.rejects(
    reading(() => unlink(path)),
    { code: 'changed' },
  )
})

t.test('removeAll tidies the empty folders above, and no others', async (t) => {
  const root = await emptyRoot(t)
  const store = fileStore(root)
  await store.create(named('cloud/job/1/a/b'), bytes('x'), BINARY)
  await store.create(named('cloud/job/2/a'), bytes('x'), BINARY)
  await store.removeAll('cloud/job/1/')
  t.same(await readdir(join(root, 'cloud/job')), ['2'])
  await store.removeAll('cloud/job/2/')
  t.same(await readdir(root), [])
})

t.test('removeAll takes with it what a crash has left', async (t) => {
  const root = await emptyRoot(t)
  const store = fileStore(root)
  await store.create(named('job/1/a'), bytes('x'), BINARY)
  await writeFile(join(root, 'job/1/.~left-by-a-crash'), 'x')
  t.same(await names(store, ''), ['job/1/a'])
  await store.removeAll('job/1/')
  t.same(await readdir(root), [])
})

t.test('a folder where a file stands is an error, not an object', async (t) => {
  const store = fileStore(await emptyRoot(t))
  await store.create(named('a'), bytes('x'), BINARY)
  await t.rejects(store.create(named('a/b'), bytes('x'), BINARY), { code: 'ENOTDIR' })
  t.equal(await store.stat(named('a/b')), undefined)
})

t.test('no descriptor stays open', async (t) => {
  const store = fileStore(await emptyRoot(t))
  const descriptors = async () => (await readdir('/proc/self/fd')).length
  await store.create(named('x'), noise(2_000_000), BINARY)
  const before = await descriptors()
  for (let n = 0; n < 20; n++) {
    await content(store, 'x')
    for await (const _chunk of await store.read(named('x'))) break
    ;(await store.read(named('x'))).destroy()
    const signal = AbortSignal.timeout(2)
    await (async () => {
      for await (const _chunk of await store.read(named('x'), { signal })) await sleep(3)
    })().catch(() => {})
    await store.create(named('x'), bytes('again'), BINARY)
  }
  // But for what the machinery may hold.
  t.ok(await until(async () => (await descriptors()) <= before + 1))
})

t.test('a counted store does the same and counts', async (t) => {
  const counts = noCounts()
  const store = counting(fileStore(await emptyRoot(t)), counts)
  const chunks = async function* () {
    yield noise(1000)
    yield noise(500)
  }
  await store.create(named('a/x'), noise(2000), BINARY)
  await store.create(named('a/y'), chunks(), BINARY)
  t.same(counts, { ...noCounts(), operations: 2, bytesWritten: 3500 })
  t.equal((await content(store, 'a/x', { start: 100, end: 300 })).length, 200)
  t.same(counts, { ...noCounts(), operations: 3, bytesRead: 200, bytesWritten: 3500 })
  await t.rejects(store.read(named('none')), { code: 'not-found' })
  const revision = (await store.stat(named('a/y')))?.revision
  t.match(revision, /^f/)
  t.same(await names(store, 'a/'), ['a/x', 'a/y'])
  await store.remove(named('a/x'))
  await store.removeAll('a/')
  t.equal(counts.operations, 8)
})

t.test('whether anything can be created is tried by writing, and leaves nothing', async (t) => {
  const root = await emptyRoot(t)
  const store = fileStore(root)
  await store.probe?.()
  t.same(await readdir(root), [])
  await t.rejects(
    async () => store.probe?.({ signal: AbortSignal.abort(new Error('over')) }),
    /over/,
  )
  const file = join(root, 'file')
  await writeFile(file, 'no folder')
  await t.rejects(async () => fileStore(file).probe?.(), { code: 'EEXIST' })
})

t.test('a disk that is full is found out, though small files still fit', async (t) => {
  const root = await emptyRoot(t)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', root], {
      stdio: 'ignore',
    })
  } catch {
    t.comment('not tried: only root may mount a small disk')
    return
  }
  try {
    const store = fileStore(root)
    t.equal(await store.create(named('small'), new Uint8Array(1000), BINARY), 'created')
    await t.rejects(async () => store.probe?.(), { code: 'ENOSPC' })
    const large = store.create(named('large'), new Uint8Array(1_000_000), BINARY)
    await t.rejects(large, { code: 'ENOSPC' })
    t.same(await readdir(root), ['small'], 'what did not fit is gone')
  } finally {
    execFileSync('umount', [root])
  }
})
