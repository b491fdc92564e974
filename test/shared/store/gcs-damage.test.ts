import t, { type Test } from 'tap'
import { crc32c, crc32cText } from '#shared/store/gcs/crc32c.ts'
import { type GcsSettings, gcsStore } from '#shared/store/gcs/gcs-store.ts'
import { type Fault, startGcsServer } from '../../../tools/fakes/gcs-server.ts'
import { bytes, content, named, noise } from '../../conformance/store.ts'

/** Bytes that change on their way to a bucket and from it, for an identity that may create and look, no more. */

const BINARY = { contentType: 'application/octet-stream' }
const PIECE = 512 * 1024

async function opened(t: Test, settings: GcsSettings = {}) {
  const server = await startGcsServer('bucket')
  t.teardown(() => server.close())
  server.denied = /^DELETE \/storage/
  const store = gcsStore({
    ...{ bucket: 'bucket', apiEndpoint: server.endpoint, pieceBytes: PIECE },
    ...{ attempts: 4, firstDelayMs: 5, longestDelayMs: 20, timeoutMs: 2000 },
    ...settings,
  })
  const there = (name: string) => server.buckets.get('bucket')?.get(name)?.bytes
  return { server, store, there }
}

async function* slices(whole: Uint8Array, size = 70_000) {
  for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size)
}

t.test('the checksum is that of RFC 3720, also of unaligned and of joined bytes', async (t) => {
  t.equal(crc32c(bytes('123456789')), 0xe3069283)
  t.equal(crc32c(new Uint8Array(32)), 0x8a9136aa)
  t.equal(crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43)
  t.equal(crc32c(new Uint8Array(0)), 0)
  t.equal(crc32cText(crc32c(bytes('hello'))), 'mnG7TA==')
  const whole = noise(10_007)
  for (let from = 0; from < 9; from++)
    for (const until of [from, from + 1, from + 7, from + 8, from + 100, 10_007]) {
      const part = whole.subarray(from, until)
      let slow = ~0
      for (const byte of part) {
        slow ^= byte
        for (let bit = 0; bit < 8; bit++)
          slow = slow & 1 ? (slow >>> 1) ^ 0x82f63b78 : slow >>> 1
      }
      t.equal(crc32c(part), ~slow >>> 0, `${from} to ${until}`)
      t.equal(crc32c(part.subarray(5), crc32c(part.subarray(0, 5))), ~slow >>> 0)
    }
})

for (const mismatchStatus of [400, 412] as const)
  t.test(`what is damaged on the way up never comes to be (${mismatchStatus})`, async (t) => {
    const whole = noise(1_200_000)
    const cases: readonly [string, Uint8Array, Fault][] = [
      ['one request', bytes('some bytes'), { on: /^POST/, flipUp: -60 }],
      ['its head', bytes('some bytes'), { on: /^POST/, flipUp: 200 }],
      ['its boundary', bytes('some bytes'), { on: /^POST/, flipUp: 3 }],
      ['an empty object', new Uint8Array(0), { on: /^POST/, flipUp: -10 }],
      ['the first piece', whole, { on: /^PUT.*bytes 0-/, flipUp: 0 }],
      ['a middle piece', whole, { on: /^PUT.*bytes 524288-/, flipUp: 77_777 }],
      ['the last piece', whole, { on: /^PUT.*bytes 1048576-/, flipUp: -1 }],
      ['the opening of a session', whole, { on: /^POST/, flipUp: 1 }],
    ]
    for (const [what, body, fault] of cases)
      for (const times of [1, 2]) {
        const { server, store, there } = await opened(t)
        server.mismatchStatus = mismatchStatus
        server.faults.push({ ...fault, times })
        t.match(await store.create(named('x'), body, BINARY), /created|exists/, what)
        t.ok(there('x')?.equals(body), what)
        // Not every flip in a head does harm: then the next one is not met.
        t.ok((server.faults[0]?.times ?? 0) < times, `${what}: it was met`)
        await server.close()
      }
  })

t.test('a stream that is damaged is not taken, and may be sent again', async (t) => {
  const whole = noise(1_200_000)
  for (const on of [/^PUT.*bytes 0-/, /^PUT.*bytes 524288-/, /^PUT.*bytes 1048576-/]) {
    const { server, store, there } = await opened(t)
    server.faults.push({ on, flipUp: 1000 })
    await t.rejects(store.create(named('x'), slices(whole), BINARY), { code: 'damaged' })
    t.equal(there('x'), undefined)
    t.equal(await store.create(named('x'), slices(whole), BINARY), 'created')
    t.ok(there('x')?.equals(whole))
    await server.close()
  }
})

t.test('what is damaged each time is given up, and nothing is there', async (t) => {
  const { server, store, there } = await opened(t)
  server.faults.push({ on: /^P/, flipUp: -60, times: 99 })
  for (const body of [bytes('some bytes'), noise(600_000)])
    await t.rejects(store.create(named('x'), body, BINARY), { code: 'damaged' })
  t.equal(there('x'), undefined)
})

t.test('a server that heeds no checksum is found out', async (t) => {
  const { server, store } = await opened(t)
  server.isCareless = true
  server.faults.push({ on: /^PUT.*bytes 524288-/, flipUp: 5 })
  await t.rejects(store.create(named('x'), noise(600_000), BINARY), /damaged.* has kept it/)
  server.isCareless = false
  t.equal(
    await store.create(named('x'), noise(600_000), BINARY),
    'differs',
    'nor later believed',
  )
})

t.test('an upload whose answer is lost or damaged is looked for', async (t) => {
  const whole = noise(600_000)
  for (const body of [bytes('some bytes'), whole])
    for (const fault of [
      { on: /^POST.*multipart|^PUT.*bytes 524288-/, loseAnswer: true },
      { on: /^POST.*multipart|^PUT.*bytes 524288-/, flipDown: 60 },
      { on: /^POST.*multipart|^PUT.*bytes 524288-/, flipDown: 0 },
      { on: /^POST.*multipart|^PUT.*bytes 524288-/, loseAnswer: true, times: 2 },
    ] as const) {
      const { server, store, there } = await opened(t)
      server.faults.push({ ...fault })
      t.equal(await store.create(named('x'), body, BINARY), 'created', JSON.stringify(fault))
      t.ok(there('x')?.equals(body))
      await server.close()
    }
})

t.test('an upload of which the server keeps odd amounts arrives whole', async (t) => {
  const whole = noise(1_200_000)
  for (const range of [
    'bytes=0-99',
    'bytes=0-262143',
    'bytes=5-300',
    'bytes=0-99999999',
    'none',
  ]) {
    const { server, store, there } = await opened(t)
    server.faults.push({ on: /^PUT.*bytes 524288-/, headers: { range } })
    t.equal(await store.create(named('x'), whole, BINARY), 'created', range)
    t.ok(there('x')?.equals(whole), range)
    await server.close()
  }
})

t.test('a whole object that is damaged on the way down is fetched again', async (t) => {
  const { server, store } = await opened(t)
  const small = noise(900_000)
  server.put('bucket', 'small', small)
  for (const fault of [
    { flipDown: 0 },
    { flipDown: 450_000 },
    { flipDown: -1 },
    { short: 1 },
    { short: 899_999 },
    { headers: { 'x-goog-hash': 'crc32c=AAAAAA==' } },
  ]) {
    server.faults.push({ on: /alt=media/, times: 2, ...fault })
    t.ok(small.equals(await content(store, 'small')), JSON.stringify(fault))
    t.same(server.faults, [])
  }
  server.faults.push({ on: /alt=media/, times: 99, flipDown: 5 })
  await t.rejects(content(store, 'small'), { code: 'damaged' })
})

t.test('of a large object that is damaged the last bytes are not given out', async (t) => {
  const { server, store } = await opened(t)
  const large = noise(3_000_000)
  server.put('bucket', 'large', large)
  for (const fault of [
    { flipDown: 0 },
    { flipDown: 2_000_000 },
    { flipDown: -1 },
    { short: 1000 },
  ]) {
    server.faults.push({ on: /alt=media/, ...fault })
    let given = 0
    const reading = async () => {
      for await (const chunk of await store.read(named('large'))) given += chunk.length
    }
    await t.rejects(reading(), { code: 'damaged' }, JSON.stringify(fault))
    t.ok(given < large.length)
  }
  t.ok(large.equals(await content(store, 'large')))
})

t.test('a range that is damaged on the way down is fetched again from there', async (t) => {
  const { server, store } = await opened(t)
  const whole = noise(3_000_000)
  server.put('bucket', 'x', whole)
  const revision = (await store.stat(named('x')))?.revision as never
  const middle = { start: 1_000_000, end: 2_500_000 }
  const faults: readonly Omit<Fault, 'on'>[] = [
    { flipDown: 0 },
    { flipDown: 700_000 },
    { flipDown: -1 },
    { short: 10 },
    { ignoreRange: true },
    { headers: { 'content-range': 'bytes 7-9/3000000' } },
    { headers: { 'content-range': 'bytes 1000000-2499999/2000000' } },
    { headers: { 'content-range': 'nonsense' } },
    { headers: { 'x-goog-generation': '7' } },
  ]
  for (const fault of faults)
    for (const times of [1, 2])
      for (const pinned of [{}, { revision }]) {
        if (fault.headers?.['x-goog-generation'] && !('revision' in pinned)) continue
        server.faults.push({ on: /alt=media/, times, ...fault })
        const part = await content(store, 'x', { ...middle, ...pinned })
        t.ok(whole.subarray(middle.start, middle.end).equals(part), JSON.stringify(fault))
        server.faults.length = 0
      }
})

t.test('what damages every answer at the same place never gets through', async (t) => {
  const { server, store } = await opened(t)
  const whole = noise(600_000)
  server.put('bucket', 'x', whole)
  for (const flipDown of [1000, 250_000, -1]) {
    server.faults.push({ on: /alt=media/, flipDown, times: 9999 })
    for (const range of [
      { start: 1000, end: 500_000 },
      { start: 300, end: 599_990 },
    ]) {
      const part = await content(store, 'x', range).catch((error) => error)
      if (part instanceof Error) t.equal((part as { code?: string }).code, 'damaged')
      else t.ok(whole.subarray(range.start, range.end).equals(part))
    }
    server.faults.length = 0
  }
})

t.test('what is said of an object counts when it has come twice', async (t) => {
  const { server, store } = await opened(t)
  server.put('bucket', 'x', noise(12_345))
  const sound = await store.stat(named('x'))
  const length = JSON.stringify(sound).length
  for (let flipDown = 0; flipDown < 4 * length; flipDown += 3) {
    server.faults.push({ on: /^GET/, flipDown })
    t.same(await store.stat(named('x')), sound, `byte ${flipDown}`)
    server.faults.length = 0
  }
})

t.test('an object without a checksum is read twice over', async (t) => {
  const { server, store } = await opened(t)
  const whole = noise(100_000)
  server.put('bucket', 'x', whole)
  server.faults.push({ on: /alt=media/, headers: { 'x-goog-hash': '' }, flipDown: 5 })
  t.ok(whole.equals(await content(store, 'x')))
})

t.test('a random byte, again and again, both ways: all is right or refused', async (t) => {
  const { server, store, there } = await opened(t, { attempts: 8 })
  for (let n = 0; n < 40; n++) {
    const body = noise(1 + ((n * 39_119) % 1_500_000), n + 1)
    const flip = (on: RegExp, which: 'flipUp' | 'flipDown') =>
      server.faults.push({ on, [which]: (n * 7919) % (body.length + 300), times: 1 + (n % 3) })
    flip(/^P/, 'flipUp')
    await store.create(named(`r/${n}`), body, BINARY).catch(() => {})
    server.faults.length = 0
    const found = there(`r/${n}`)
    t.ok(found === undefined || found.equals(body), `up ${n}`)
    server.put('bucket', `d/${n}`, body)
    flip(/^GET/, 'flipDown')
    const start = n % 2 ? 0 : Math.floor(body.length / 3)
    const read = await content(store, `d/${n}`, start ? { start } : {}).catch(() => undefined)
    server.faults.length = 0
    t.ok(read === undefined || read.equals(body.subarray(start)), `down ${n}`)
  }
})
