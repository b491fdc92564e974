import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { StoreError } from '#shared/contracts/errors/store.ts'
import type { ObjectName } from '#shared/contracts/names.ts'
import type { Created, StoreDriver } from '#shared/store/driver/driver.ts'
import { lull, until } from '../support/patience.ts'

const NOT_FOUND = { code: 'not-found' }
const CHANGED = { code: 'changed' }
const BAD_NAME = { name: 'StoreError', code: 'bad-name' }

/** A store to be judged: each `open` gives an empty one. */
export interface Candidate {
  readonly title: string
  open(t: Test): Promise<{
    readonly store: StoreDriver
    /** The same place through a driver of its own, as another host would see it. */
    readonly again: StoreDriver
    /** Puts other bytes under a name, as another program would. */
    replace(name: ObjectName, bytes: Uint8Array): Promise<void>
  }>
}

const BINARY = { contentType: 'application/octet-stream' }

/** What every store must do, run against a candidate. */
export async function storeConformance(t: Test, candidate: Candidate): Promise<void> {
  const check = (title: string, judge: (t: Test, at: Opened) => Promise<void>) =>
    t.test(`${candidate.title}: ${title}`, async (t) => judge(t, await candidate.open(t)))

  await check('what is created can be read and looked at', async (t, { store }) => {
    const before = Date.now() - 60_000
    t.equal(await store.create(named('a/b/c.bin'), bytes('hello'), BINARY), 'created')
    t.equal(await text(store, 'a/b/c.bin'), 'hello')
    const stat = await store.stat(named('a/b/c.bin'))
    t.equal(stat?.name, 'a/b/c.bin')
    t.equal(stat?.bytes, 5)
    t.match(stat?.revision, /^[fg][0-9a-f]+$/)
    t.ok(
      stat && stat.modified.getTime() > before && stat.modified.getTime() < Date.now() + 60_000,
    )
    t.same(await store.stat(named('a/b/c.bin')), stat, 'a second look sees the same')
  })

  await check('creating what exists compares, and changes nothing', async (t, { store }) => {
    await store.create(named('x'), bytes('first'), BINARY)
    const stat = await store.stat(named('x'))
    for (const other of ['second', 'firsT', 'first!', 'firs', ''])
      t.equal(await store.create(named('x'), bytes(other), BINARY), 'differs', other)
    t.equal(await store.create(named('x'), chunks('sec', 'ond'), BINARY), 'differs')
    t.equal(await store.create(named('x'), chunks('fir', 'st'), BINARY), 'exists')
    t.equal(await store.create(named('x'), bytes('first'), BINARY), 'exists')
    t.equal(await text(store, 'x'), 'first')
    t.same(await store.stat(named('x')), stat)
  })

  await check('of 20 concurrent creators exactly one creates', async (t, { store, again }) => {
    const bodies = Array.from({ length: 20 }, (_, index) => `${index},`.repeat(3000 + index))
    const outcomes = await Promise.all(
      bodies.map((body, index) => {
        const through = index % 2 ? store : again
        const content = index % 3 ? bytes(body) : chunks(body.slice(0, 999), body.slice(999))
        return through.create(named('deep/er/race.bin'), content, BINARY)
      }),
    )
    t.equal(outcomes.filter((outcome) => outcome === 'created').length, 1)
    t.equal(outcomes.filter((outcome) => outcome === 'differs').length, 19)
    t.equal(await text(store, 'deep/er/race.bin'), bodies[outcomes.indexOf('created')])
    t.same(await names(store, ''), ['deep/er/race.bin'])
  })

  await check('what is not there is not there', async (t, { store }) => {
    t.equal(await store.stat(named('no/such')), undefined)
    await t.rejects(store.read(named('no/such')), NOT_FOUND)
    await t.rejects(store.read(named('no/such'), { start: 5, end: 9 }), NOT_FOUND)
    t.same(await names(store, 'no/'), [])
    await store.remove(named('no/such'))
    await store.removeAll('no/')
  })

  await check('removing is idempotent, and the name is free again', async (t, { store }) => {
    await store.create(named('d/x'), bytes('1'), BINARY)
    await store.remove(named('d/x'))
    await store.remove(named('d/x'))
    t.equal(await store.stat(named('d/x')), undefined)
    t.equal(await store.create(named('d/x'), bytes('2'), BINARY), 'created')
    t.equal(await text(store, 'd/x'), '2')
  })

  await check('ranges are cut at the end of the object', async (t, { store }) => {
    await store.create(named('r'), bytes('0123456789'), BINARY)
    const revision = (await store.stat(named('r')))?.revision
    if (revision === undefined) throw new Error('no revision')
    for (const pinned of [{}, { revision }]) {
      const part = (start?: number, end?: number) =>
        text(store, 'r', {
          ...(start === undefined ? {} : { start }),
          ...(end === undefined ? {} : { end }),
          ...pinned,
        })
      t.equal(await part(2, 5), '234')
      t.equal(await part(0, 1), '0')
      t.equal(await part(9, 10), '9')
      t.equal(await part(7), '789')
      t.equal(await part(undefined, 3), '012')
      t.equal(await part(7, 1000), '789')
      t.equal(await part(10, 20), '')
      t.equal(await part(500, 600), '')
      t.equal(await part(500), '')
      t.equal(await part(4, 4), '')
      t.equal(await part(5, 3), '')
    }
    await t.rejects(store.read(named('r'), { start: -1 }), RangeError)
    await t.rejects(store.read(named('r'), { end: 1.5 }), RangeError)
  })

  await check('an object may be empty', async (t, { store }) => {
    t.equal(await store.create(named('z1'), new Uint8Array(0), BINARY), 'created')
    t.equal(await store.create(named('z2'), chunks(), BINARY), 'created')
    for (const name of ['z1', 'z2']) {
      t.equal((await store.stat(named(name)))?.bytes, 0)
      t.equal(await text(store, name), '')
      t.equal(await text(store, name, { start: 0, end: 10 }), '')
      t.equal(await store.create(named(name), chunks(), BINARY), 'exists')
      t.equal(await store.create(named(name), bytes('no'), BINARY), 'differs')
    }
  })

  await check('20 MB go through as a stream, byte for byte', async (t, { store }) => {
    const whole = noise(20_000_003)
    const odd = async function* () {
      for (let at = 0; at < whole.length; at += 777_777) yield whole.subarray(at, at + 777_777)
    }
    t.equal(await store.create(named('big/one'), odd(), BINARY), 'created')
    t.equal((await store.stat(named('big/one')))?.bytes, whole.length)
    t.ok(whole.equals(await content(store, 'big/one')))
    const part = await content(store, 'big/one', { start: 9_999_999, end: 15_000_001 })
    t.ok(whole.subarray(9_999_999, 15_000_001).equals(part))
    t.equal(await store.create(named('big/two'), whole, BINARY), 'created')
    t.ok(whole.equals(await content(store, 'big/two')))
  })

  await check('a body that fails leaves nothing under the name', async (t, { store }) => {
    for (const before of [0, 3, 9_000_000]) {
      const failing = async function* () {
        if (before) yield noise(before)
        throw new Error('the source broke')
      }
      await t.rejects(store.create(named('f/x'), failing(), BINARY), /the source broke/)
      t.equal(await store.stat(named('f/x')), undefined)
      t.same(await names(store, ''), [])
    }
    t.equal(await store.create(named('f/x'), bytes('later'), BINARY), 'created')
  })

  await check('an aborted create leaves nothing under the name', async (t, { store }) => {
    const before = AbortSignal.abort(new Error('stop'))
    await t.rejects(
      store.create(named('a/x'), bytes('1'), { ...BINARY, signal: before }),
      /stop/,
    )
    for (const first of [3, 9_000_000]) {
      const during = new AbortController()
      let cleaned = false
      const hanging = async function* () {
        try {
          yield noise(first)
          setTimeout(() => during.abort(new Error('stop')), 20)
          await sleep(100)
          yield noise(3)
          await sleep(100)
        } finally {
          cleaned = true
        }
      }
      const creating = store.create(named('a/x'), hanging(), {
        ...BINARY,
        signal: during.signal,
      })
      await t.rejects(creating, /stop/)
      await until(() => cleaned)
      t.ok(cleaned, 'the source was closed')
      await lull(300)
      t.equal(await store.stat(named('a/x')), undefined)
      t.same(await names(store, ''), [])
    }
    const endless = new AbortController()
    const creating = store.create(named('a/y'), never(), { ...BINARY, signal: endless.signal })
    endless.abort(new Error('enough'))
    await t.rejects(creating, /enough/, 'even a source that hangs for ever')
    t.equal(await store.create(named('a/x'), bytes('later'), BINARY), 'created')
  })

  await check('an aborted read ends with the reason', async (t, { store }) => {
    await store.create(named('x'), noise(5_000_000), BINARY)
    await t.rejects(
      store.read(named('x'), { signal: AbortSignal.abort(new Error('stop')) }),
      /stop/,
    )
    const during = new AbortController()
    const stream = await store.read(named('x'), { signal: during.signal })
    const reading = (async () => {
      for await (const _chunk of stream) during.abort(new Error('stop'))
    })()
    await t.rejects(reading, /stop/)
  })

  await check('a read may be given up half-way', async (t, { store }) => {
    await store.create(named('x'), noise(5_000_000), BINARY)
    for await (const chunk of await store.read(named('x'))) {
      t.ok(chunk.length > 0)
      break
    }
    const unread = await store.read(named('x'))
    unread.destroy()
    t.equal((await content(store, 'x')).length, 5_000_000)
  })

  await check('a revision means these very bytes', async (t, { store, again, replace }) => {
    const name = named('masters/m.wav')
    await store.create(name, bytes('one one'), BINARY)
    const one = await store.stat(name)
    if (!one) throw new Error('not there')
    t.same(await again.stat(name), one, 'the same from everywhere')
    t.equal(await text(store, name, { revision: one.revision }), 'one one')
    await replace(name, bytes('two two'))
    const two = await store.stat(name)
    t.not(two?.revision, one.revision)
    const pinned = () => text(store, name, { revision: one.revision })
    await t.rejects(pinned(), CHANGED)
    await t.rejects(pinned(), CHANGED)
    t.equal(await text(store, name), 'two two')
    await store.remove(name)
    await t.rejects(pinned(), CHANGED, 'gone is changed as well')
  })

  await check('a pinned read fails when the object changes meanwhile', async (t, at) => {
    const { store, replace } = at
    const name = named('masters/long.wav')
    const whole = noise(12_000_000)
    await store.create(name, whole, BINARY)
    const revision = (await store.stat(name))?.revision
    if (revision === undefined) throw new Error('no revision')
    const read: Uint8Array[] = []
    let failure: unknown
    try {
      for await (const chunk of await store.read(name, { revision })) {
        if (read.length === 0) await replace(name, noise(12_000_000, 7))
        read.push(chunk)
      }
    } catch (error) {
      failure = error
    }
    // A store that keeps old bytes for current readers may return all of them.
    if (failure === undefined) t.ok(whole.equals(Buffer.concat(read)))
    else t.equal((failure as StoreError).code, 'changed')
  })

  await check(
    'list gives what begins with the prefix, sorted by name',
    async (t, { store }) => {
      const all = [
        'a',
        'ab/1',
        'ab/10',
        'ab/2',
        'ab/c/d',
        'ab-c',
        'ab.c',
        'abc',
        'b',
        'é',
        '🎵',
        '￦',
      ]
      for (const name of all.toReversed()) await store.create(named(name), bytes(name), BINARY)
      const sorted = all.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      t.same(await names(store, ''), sorted)
      t.same(await names(store, 'ab/'), ['ab/1', 'ab/10', 'ab/2', 'ab/c/d'])
      t.same(await names(store, 'ab/1'), ['ab/1', 'ab/10'])
      t.same(await names(store, 'ab/c'), ['ab/c/d'])
      t.same(await names(store, 'ab'), [
        'ab-c',
        'ab.c',
        'ab/1',
        'ab/10',
        'ab/2',
        'ab/c/d',
        'abc',
      ])
      t.same(await names(store, 'abc/'), [])
      t.same(await names(store, 'nothing'), [])
      for await (const found of store.list('ab/c')) t.same(found, await store.stat(found.name))
    },
  )

  await check('list gives many objects', async (t, { store }) => {
    const all = Array.from(
      { length: 60 },
      (_, n) => `many/${n % 7}/${String(n).padStart(3, '0')}`,
    )
    await Promise.all(all.map((name) => store.create(named(name), bytes(name), BINARY)))
    t.same(await names(store, 'many/'), all.toSorted())
    let seen = 0
    for await (const _found of store.list('many/')) if (++seen === 5) break
    t.equal(seen, 5)
  })

  await check('removeAll removes a folder and nothing beside it', async (t, { store }) => {
    const all = ['job/1/a', 'job/1/b/c', 'job/10/a', 'job/1x', 'job/2/a']
    for (const name of all) await store.create(named(name), bytes('.'), BINARY)
    await store.removeAll('job/1/')
    t.same(await names(store, ''), ['job/10/a', 'job/1x', 'job/2/a'])
    await store.removeAll('job/1/')
    await t.rejects(store.removeAll('job'), BAD_NAME)
    await t.rejects(store.removeAll(''), BAD_NAME)
    await t.rejects(store.removeAll('../'), BAD_NAME)
    await store.removeAll('job/')
    t.same(await names(store, ''), [])
    t.equal(await store.create(named('job/1/a'), bytes('.'), BINARY), 'created')
  })

  await check('creating goes on while folders are removed beside it', async (t, { store }) => {
    const outcomes: Created[] = []
    const creating = (async () => {
      for (let n = 0; n < 40; n++)
        outcomes.push(await store.create(named(`run/${n % 3}/${n}`), bytes('.'), BINARY))
    })()
    const removing = (async () => {
      for (let n = 0; n < 40; n++) await store.removeAll(`run/${n % 3}/`)
    })()
    await Promise.all([creating, removing])
    t.same(outcomes, Array(40).fill('created'))
  })

  await check('names that try to leave are refused', async (t, { store }) => {
    const illegal = [
      '', '/', '/etc/passwd', '..', '.', '../x', 'a/../../x', 'a/..', 'a/./b', 'a//b', 'a/', './a',
      'a\0b', 'a/\0', 'a\nb', 'a\\..\\b', '.~temporary', 'a/.~x', `a/${'n'.repeat(256)}`,
      `${'n/'.repeat(600)}x`, '\ud800',
    ] // biome-ignore format: one case beside the other
    for (const name of illegal) {
      const shown = JSON.stringify(name).slice(0, 40)
      await t.rejects(
        async () => store.create(named(name), bytes('.'), BINARY),
        BAD_NAME,
        shown,
      )
      await t.rejects(async () => store.stat(named(name)), BAD_NAME, shown)
      await t.rejects(async () => store.read(named(name)), BAD_NAME, shown)
      await t.rejects(async () => store.remove(named(name)), BAD_NAME, shown)
    }
    for (const prefix of ['../', '/etc/', 'a/../', 'a//'])
      await t.rejects(async () => names(store, prefix), BAD_NAME)
    t.same(await names(store, ''), [])
  })

  await check('odd but legal names are taken as they are', async (t, { store, again }) => {
    const odd = [
      'a b', 'a%20b', 'a%2Fb', 'a+b', '~', '~a._@-', '...', '..a', 'a..', '-rf', '*', '?', '#1',
      'Ünïcødé/日本語', 'e\u0301', '\u00e9', '🎧/🎵.wav', 'q"uote\'', 'a&b=c;d', '$HOME', '`id`', ':', '[x]',
      'n'.repeat(255), 'assets/01-AB~x_y.z/g17/aac-128@1.m4a',
    ] // biome-ignore format: one case beside the other
    for (const name of odd) {
      t.equal(await store.create(named(name), bytes(name), BINARY), 'created', name)
      t.equal((await again.stat(named(name)))?.name, name)
      t.equal(await text(again, name), name)
    }
    t.equal((await names(store, '')).length, odd.length)
    for (const name of odd) await store.remove(named(name))
    t.same(await names(store, ''), [])
  })
}

type Opened = Awaited<ReturnType<Candidate['open']>>

export function named(name: string): ObjectName {
  return name as ObjectName
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Bytes that no compressor likes, the same for the same seed. */
export function noise(length: number, seed = 1): Buffer {
  const buffer = Buffer.allocUnsafe(length)
  let state = seed
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    buffer[at] = state >>> 24
  }
  return buffer
}

export async function content(
  store: StoreDriver,
  name: string,
  options?: Parameters<StoreDriver['read']>[1],
): Promise<Buffer> {
  const read: Uint8Array[] = []
  for await (const chunk of await store.read(named(name), options)) read.push(chunk)
  return Buffer.concat(read)
}

async function text(...args: Parameters<typeof content>): Promise<string> {
  return (await content(...args)).toString()
}

export async function names(store: StoreDriver, prefix: string): Promise<string[]> {
  const found: string[] = []
  for await (const { name } of store.list(prefix)) found.push(name)
  return found
}

async function* chunks(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield bytes(text)
}

async function* never(): AsyncGenerator<Uint8Array> {
  await new Promise(() => {})
}
