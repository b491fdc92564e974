import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { fileStore } from '#shared/store/file/file-store.ts'
import { bytes, content, named, names } from '../../conformance/store.ts'

/**
 * Someone with write access changes links inside a store between any two calls of ours. Nothing outside the store may be
 * read, listed, written or removed for that.
 */

const ROUNDS = 400
/** And more on a machine on which the other thread has not had its turn. */
const MAX_ROUNDS = 50_000
const BINARY = { contentType: 'application/octet-stream' }

/** Turns names from one link to another as fast as it can, each by a rename that replaces. */
const SWAPPER = `
const { renameSync, symlinkSync } = require('node:fs')
const { workerData } = require('node:worker_threads')
for (let n = 0; ; n++) {
  if (Atomics.load(workerData.stop, 0)) break
  for (const { name, targets } of workerData.links) {
    symlinkSync(targets[n % targets.length], name + '.new')
    renameSync(name + '.new', name)
  }
  Atomics.add(workerData.turns, 0, 1)
}`

async function swapping(t: Test) {
  const base = await mkdtemp(join(tmpdir(), 'race-'))
  const at = (...parts: string[]) => join(base, ...parts)
  await mkdir(at('root', 'real'), { recursive: true })
  await mkdir(at('outside'))
  await writeFile(at('root', 'real', 'x.wav'), 'inside')
  await writeFile(at('outside', 'x.wav'), 'SECRET')
  await writeFile(at('outside', 'other.wav'), 'SECRET')
  const stop = new Int32Array(new SharedArrayBuffer(4))
  const turns = new Int32Array(new SharedArrayBuffer(4))
  const links = [
    { name: at('root', 'file.wav'), targets: [at('outside', 'x.wav'), 'real/x.wav'] },
    { name: at('root', 'folder'), targets: [at('outside'), 'real'] },
  ]
  const worker = new Worker(SWAPPER, { eval: true, workerData: { links, stop, turns } })
  const ended = new Promise((done) => worker.once('exit', done))
  t.teardown(async () => {
    Atomics.store(stop, 0, 1)
    await ended
    await rm(base, { recursive: true, force: true })
  })
  while (Atomics.load(turns, 0) < 10) await new Promise(setImmediate)
  return { at, store: fileStore(at('root')), turned: () => Atomics.load(turns, 0) }
}

/** What an operation gives, `refused` where it led out, `lost` where the name was just gone. */
async function outcome<T>(act: () => Promise<T>): Promise<T | 'refused' | 'lost'> {
  try {
    return await act()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'out-of-bounds') return 'refused'
    if (code === 'not-found' || code === 'ENOENT') return 'lost'
    throw error
  }
}

/** Counts outcomes, until those that must be met have been. */
async function tally(
  act: () => Promise<unknown>,
  ...met: readonly string[]
): Promise<Map<string, number>> {
  const seen = new Map<string, number>()
  const isMet = () => met.every((key) => seen.has(key))
  for (let n = 0; n < ROUNDS || (n < MAX_ROUNDS && !isMet()); n++) {
    const key = String(await outcome(act))
    seen.set(key, (seen.get(key) ?? 0) + 1)
  }
  return seen
}

t.test('not one read, look or list of thousands sees anything outside', async (t) => {
  const { store, turned } = await swapping(t)
  const before = turned()
  const room = Buffer.alloc(6)
  for (const name of ['file.wav', 'folder/x.wav']) {
    const acts = {
      read: async () => (await content(store, name)).toString(),
      readInto: async () => {
        await store.readInto?.(named(name), room.fill(0), { start: 0 })
        return room.toString()
      },
    }
    for (const [what, act] of Object.entries(acts)) {
      const seen = await tally(act, 'inside', 'refused')
      t.comment(`${what} ${name}: ${[...seen].join(' ')}`)
      t.ok((seen.get('inside') ?? 0) > 0 && (seen.get('refused') ?? 0) > 0, 'both were met')
      t.same(
        [...seen.keys()].toSorted(),
        ['inside', 'refused', ...(seen.has('lost') ? ['lost'] : [])].toSorted(),
      )
    }
  }
  const inside = (await store.stat(named('real/x.wav')))?.revision
  const look = async () => (await store.stat(named('folder/x.wav')))?.revision
  const looks = await tally(look, String(inside))
  t.ok((looks.get(String(inside)) ?? 0) > 0)
  t.same(
    [...looks.keys()].filter((key) => ![inside, 'refused', 'undefined'].includes(key as never)),
    [],
  )
  const lists = await tally(async () => names(store, 'folder/'), 'folder/x.wav')
  t.ok((lists.get('folder/x.wav') ?? 0) > 0)
  t.same(
    [...lists.keys()].filter((key) => !['folder/x.wav', 'refused', ''].includes(key)),
    [],
  )
  t.ok(turned() - before > ROUNDS, 'the links turned all the time')
})

t.test('nothing is created or removed outside', async (t) => {
  const { at, store } = await swapping(t)
  let n = 0
  const made = await tally(
    () => store.create(named(`folder/new-${n++}`), bytes('x'), BINARY),
    'created',
  )
  t.ok((made.get('created') ?? 0) > 0)
  const deep = await tally(
    () => store.create(named(`folder/d${n++}/e/f`), bytes('x'), BINARY),
    'created',
  )
  t.ok((deep.get('created') ?? 0) > 0)
  const removed = await tally(() => store.remove(named('folder/other.wav')), 'undefined')
  t.ok((removed.get('undefined') ?? 0) > 0)
  await tally(() => store.removeAll('folder/other.wav/'))
  for (let round = 0; round < 150; round++)
    await outcome(() => store.create(named('folder/sub/y'), bytes('x'), BINARY))
  await tally(() => store.removeAll('folder/sub/'))
  t.same((await readdir(at('outside'))).toSorted(), ['other.wav', 'x.wav'])
  t.equal(await readFile(at('outside', 'other.wav'), 'utf8'), 'SECRET')
})
