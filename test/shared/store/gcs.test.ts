import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { counting, noCounts } from '#shared/store/counting.ts'
import { type GcsSettings, gcsStore } from '#shared/store/gcs/gcs-store.ts'
import { type GcsServer, startGcsServer } from '../../../tools/fakes/gcs-server.ts'
import { bytes, content, named, names, noise } from '../../conformance/store.ts'
import { until } from '../../support/patience.ts'

/** A refusal by Cloud Storage. */
const refusal = (status: number) => ({ name: 'GcsError', status })
const BINARY = { contentType: 'application/octet-stream' }
const PIECE = 512 * 1024
const PATIENCE = {
  pieceBytes: PIECE,
  attempts: 4,
  firstDelayMs: 5,
  longestDelayMs: 20,
  timeoutMs: 3000,
  slowestLink: 1e8,
}

async function opened(t: Test, settings: GcsSettings = {}) {
  const server = await startGcsServer('bucket')
  t.teardown(() => server.close())
  const apiEndpoint = server.endpoint
  const store = gcsStore({ bucket: 'bucket', apiEndpoint, ...PATIENCE, ...settings })
  return { server, store }
}

function lines(server: GcsServer, pattern: RegExp): number {
  return server.requests.filter(({ line }) => pattern.test(line)).length
}

async function* slices(whole: Uint8Array, size = 70_000) {
  for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size)
}

t.test('every write carries the precondition', async (t) => {
  const { server, store } = await opened(t)
  await store.create(named('small'), bytes('x'), BINARY)
  await store.create(named('stream'), slices(noise(600_000)), BINARY)
  await store.create(named('large'), noise(600_000), BINARY)
  await store.uploads.url(named('later'), BINARY)
  t.equal(lines(server, /^POST/), 4)
  t.equal(lines(server, /^POST .*[?&]ifGenerationMatch=0(&|$)/), 4)
  t.equal(lines(server, /uploadType=multipart/), 1, 'what is small goes in one request')
  t.equal(server.buckets.get('bucket')?.get('small')?.contentType, BINARY.contentType)
})

for (const status of [408, 429, 500, 502, 503, 504])
  t.test(`${status} is tried again, whatever the call`, async (t) => {
    const { server, store } = await opened(t)
    const after = (call: () => Promise<unknown>) => {
      server.faults.push({ status, times: 2 })
      return call()
    }
    t.equal(await after(() => store.create(named('a/x'), bytes('one'), BINARY)), 'created')
    t.equal(await after(() => store.create(named('a/x'), bytes('one'), BINARY)), 'exists')
    t.match(await after(() => store.stat(named('a/x'))), { bytes: 3 })
    t.equal(String(await after(() => content(store, 'a/x'))), 'one')
    t.same(await after(() => names(store, '')), ['a/x'])
    await after(() => store.remove(named('a/x')))
    t.equal(
      await after(() => store.create(named('a/y'), slices(noise(600_000)), BINARY)),
      'created',
    )
    await after(() => store.removeAll('a/'))
    t.equal(server.buckets.get('bucket')?.size, 0)
    t.same(server.faults, [])
  })

t.test('what comes from a bucket and goes to it is counted as such', async (t) => {
  const { store } = await opened(t)
  const counts = noCounts()
  const counted = counting(store, counts)
  await counted.create(named('x'), noise(2000), BINARY)
  await counted.create(named('y'), slices(noise(500)), BINARY)
  await content(counted, 'x', { start: 100, end: 300 })
  // A part is read twice over.
  const bytes = { bytesRead: 200, bytesWritten: 2500, bytesFromCloud: 400, bytesToCloud: 2500 }
  t.same(counts, { operations: 3, ...bytes })
})

t.test('no call ever turns the tries of the next ones off', async (t) => {
  const { server, store } = await opened(t)
  await store.create(named('x'), bytes('x'), BINARY)
  await store.create(named('x'), bytes('x'), BINARY)
  await store.uploads.url(named('z'), BINARY)
  server.faults.push({ status: 503, times: 99 })
  await t.rejects(store.create(named('y'), bytes('y'), BINARY), refusal(503))
  server.faults.length = 0
  for (let n = 0; n < 5; n++) {
    server.faults.push({ status: 503, times: 3 })
    t.equal(await store.create(named(`y${n}`), bytes('y'), BINARY), 'created')
  }
})

t.test('tries are bounded, and the last refusal is what is thrown', async (t) => {
  const { server, store } = await opened(t)
  server.faults.push({ status: 503, times: 99 })
  await t.rejects(store.stat(named('x')), {
    name: 'GcsError',
    status: 503,
    message: /GET .*\/o\/x/,
  })
  t.equal(server.requests.length, PATIENCE.attempts)
})

t.test('what trying again cannot mend is not tried again', async (t) => {
  const { server, store } = await opened(t)
  server.faults.push({ status: 403 })
  await t.rejects(store.stat(named('x')), refusal(403))
  server.faults.push({ status: 401 })
  await t.rejects(store.create(named('x'), bytes('x'), BINARY), refusal(401))
  t.equal(server.requests.length, 2)
})

t.test('Retry-After is waited for', async (t) => {
  const { server, store } = await opened(t, { longestDelayMs: 5000 })
  server.faults.push({ status: 429, retryAfter: 1 })
  const began = performance.now()
  await store.create(named('x'), bytes('x'), BINARY)
  t.ok(performance.now() - began >= 990)
})

t.test('an answer that is lost makes no other the creator', async (t) => {
  const { server, store } = await opened(t)
  server.faults.push({ on: /^POST/, loseAnswer: true })
  t.equal(await store.create(named('x'), bytes('mine'), BINARY), 'created')
  t.equal(lines(server, /^POST/), 2, 'the second met what the first had made')
  server.faults.push({ on: /^POST/, loseAnswer: true })
  t.equal(await store.create(named('x'), bytes('mine'), BINARY), 'exists')
})

t.test('a connection that breaks is replaced', async (t) => {
  const { server, store } = await opened(t)
  server.faults.push({ resetAfter: 0, times: 2 })
  t.equal(await store.create(named('x'), bytes('x'), BINARY), 'created')
  server.faults.push({ resetAfter: 0, times: 2 })
  t.match(await store.stat(named('x')), { bytes: 1 })
  server.faults.push({ cutUploadAfter: 100_000 })
  t.equal(await store.create(named('y'), noise(3_000_000), BINARY), 'created')
  t.ok(noise(3_000_000).equals(await content(store, 'y')))
})

t.test('a download that breaks goes on at the byte where it broke', async (t) => {
  const { server, store } = await opened(t)
  const whole = noise(3_000_000)
  server.put('bucket', 'x', whole)
  const revision = (await store.stat(named('x')))?.revision
  if (revision === undefined) throw new Error('no revision')
  for (const pinned of [{}, { revision }]) {
    server.requests.length = 0
    server.faults.push({ resetAfter: 1_000_000 }, { resetAfter: 500_001 }, { status: 503 })
    t.ok(whole.equals(await content(store, 'x', pinned)))
    t.same(
      server.requests.map(({ range }) => range),
      [undefined, 'bytes=1000000-2999999', ...Array(2).fill('bytes=1500001-2999999')],
    )
    const ofGeneration = lines(server, /generation=/)
    t.equal(ofGeneration, 'revision' in pinned ? 4 : 3, 'all of the same generation')
  }
})

t.test('both readings of a range go on where they broke', async (t) => {
  const { server, store } = await opened(t)
  const whole = noise(3_000_000)
  server.put('bucket', 'x', whole)
  server.faults.push({ resetAfter: 1_000_000 }, { resetAfter: 500_001 }, { status: 503 })
  const part = await content(store, 'x', { start: 1000, end: 2_000_100 })
  t.ok(whole.subarray(1000, 2_000_100).equals(part))
  t.equal(lines(server, /^GET .*alt=media/), 5)
  t.equal(lines(server, /generation=/), 4, 'all of the same generation')
})

t.test(
  'a download breaks off with an error, not short, when the server stays broken',
  async (t) => {
    const { server, store } = await opened(t)
    server.put('bucket', 'x', noise(1_000_000))
    server.faults.push({ resetAfter: 400_000 }, { status: 503, times: 99 })
    await t.rejects(content(store, 'x'), refusal(503))
    t.equal(server.requests.length, 1 + PATIENCE.attempts - 1)
  },
)

t.test('an object that is replaced while its download is broken is noticed', async (t) => {
  const { server, store } = await opened(t)
  server.put('bucket', 'x', noise(1_000_000))
  server.faults.push({ resetAfter: 400_000 })
  const stream = await store.read(named('x'))
  server.put('bucket', 'x', noise(1_000_000, 2))
  const reading = async () => {
    for await (const _chunk of stream);
  }
  await t.rejects(reading(), { code: 'changed' })
})

t.test('a server that hangs is cut off', async (t) => {
  const { server, store } = await opened(t, { timeoutMs: 1000 })
  server.faults.push({ hangAfter: 0, times: 2 })
  t.equal(await store.create(named('x'), noise(1_000_000), BINARY), 'created')
  server.faults.push({ hangAfter: 0 })
  t.match(await store.stat(named('x')), { bytes: 1_000_000 })
  server.faults.push({ hangAfter: 300_000 }, { hangAfter: 0 })
  t.ok(noise(1_000_000).equals(await content(store, 'x')))
  server.faults.push({ hangAfter: 0, times: 99 })
  await t.rejects(store.stat(named('x')), /silent for 1000 ms/)
})

t.test('a reader may be slower than the patience with the server', async (t) => {
  const { server, store } = await opened(t, { timeoutMs: 1500 })
  server.put('bucket', 'x', noise(3_000_000))
  let read = 0
  for await (const chunk of await store.read(named('x'))) {
    if (read === 0) await sleep(2500)
    read += chunk.length
  }
  t.equal(read, 3_000_000)
  t.equal(server.requests.length, 1)
})

t.test('the signal ends a call at once, also while it hangs or waits', async (t) => {
  const { server, store } = await opened(t, {
    timeoutMs: 60_000,
    firstDelayMs: 60_000,
    longestDelayMs: 60_000,
  })
  server.put('bucket', 'x', noise(1_000_000))
  const stopping = () => {
    const stop = new AbortController()
    setTimeout(() => stop.abort(new Error('stop')), 50)
    return stop.signal
  }
  for (const fault of [{ hangAfter: 0 }, { status: 503 }] as const) {
    server.faults.push({ ...fault })
    await t.rejects(store.stat(named('x'), { signal: stopping() }), /stop/)
    server.faults.push({ ...fault })
    await t.rejects(store.read(named('x'), { signal: stopping() }), /stop/)
    server.faults.push({ ...fault })
    const create = store.create(named('y'), bytes('y'), { ...BINARY, signal: stopping() })
    await t.rejects(create, /stop/)
  }
  server.faults.push({ hangAfter: 500_000 })
  await t.rejects(content(store, 'x', { signal: stopping() }), /stop/)
  server.faults.push({ on: /^PUT/, hangAfter: 0 })
  const stop = new AbortController()
  const { signal } = stop
  const long = t.rejects(
    store.create(named('z'), noise(2_000_000), { ...BINARY, signal }),
    /stop/,
  )
  await until(() => lines(server, /^PUT/) > 0)
  stop.abort(new Error('stop'))
  await long
  await until(() => lines(server, /^DELETE/) > 0)
  t.equal(lines(server, /^DELETE .*upload_id/), 1, 'the session is given up')
  t.notOk(server.buckets.get('bucket')?.has('y'))
  t.notOk(server.buckets.get('bucket')?.has('z'))
})

t.test('a long upload goes on from what the server has', async (t) => {
  const whole = noise(600_000)
  for (const fault of [
    { cutUploadAfter: 300_000 },
    { cutUploadAfter: 1000, times: 2 },
    { status: 503, times: 2 },
    { loseAnswer: true },
    { hangAfter: 0 },
    { resetAfter: 0, times: 2 },
  ] as const)
    for (const piece of [/^PUT/, /^PUT.*bytes 524288-/]) {
      const { server, store } = await opened(t)
      server.faults.push({ ...fault, on: piece })
      t.equal(await store.create(named('x'), slices(whole), BINARY), 'created')
      t.ok(server.buckets.get('bucket')?.get('x')?.bytes.equals(whole), JSON.stringify(fault))
      t.same(server.faults, [], 'it was met')
      await server.close()
    }
})

t.test('a long upload of what exists says so, even if it came in between', async (t) => {
  const ours = Buffer.concat([noise(600_000), noise(600_000)])
  for (const [theirs, outcome] of [
    [bytes('theirs'), 'differs'],
    [ours, 'exists'],
  ] as const)
    for (const isFirst of [true, false]) {
      const { server, store } = await opened(t)
      if (isFirst) server.put('bucket', 'x', theirs)
      const slowly = async function* () {
        yield noise(600_000)
        if (!isFirst) server.put('bucket', 'x', theirs)
        yield noise(600_000)
      }
      t.equal(await store.create(named('x'), slowly(), BINARY), outcome)
      t.ok(Buffer.from(theirs).equals(await content(store, 'x')))
      await server.close()
    }
})

t.test('bodies at the borders of a piece arrive whole', async (t) => {
  const { server, store } = await opened(t)
  for (const length of [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 1]) {
    const whole = noise(length)
    t.equal(await store.create(named(`a${length}`), slices(whole, 100_003), BINARY), 'created')
    t.equal(await store.create(named(`b${length}`), whole, BINARY), 'created')
    for (const name of [`a${length}`, `b${length}`])
      t.ok(server.buckets.get('bucket')?.get(name)?.bytes.equals(whole), name)
  }
})

t.test('a source that fills the same buffer again and again is taken as it was', async (t) => {
  const { store } = await opened(t)
  const reusing = async function* () {
    const buffer = Buffer.alloc(1000)
    for (let n = 0; n < 5; n++) yield buffer.fill(n)
  }
  await store.create(named('x'), reusing(), BINARY)
  const expected = Buffer.concat([0, 1, 2, 3, 4].map((n) => Buffer.alloc(1000, n)))
  t.ok(expected.equals(await content(store, 'x')))
})

t.test('the holder of the URL can upload that object once', async (t) => {
  const { server, store } = await opened(t)
  const contentType = 'audio/wav'
  const origin = 'https://labels.example'
  const url = await store.uploads.url(named('m/a.wav'), { contentType, origin })
  const other = await store.uploads.url(named('m/a.wav'), { contentType })
  const begun = server.requests.filter(({ line }) => line.includes('uploadType=resumable'))
  const origins = begun.map((request) => request.origin)
  t.strictSame(origins, [origin, undefined], 'a browser may send to it from that origin alone')
  t.equal((await fetch(url, { method: 'PUT', body: 'sound' })).status, 200)
  t.match(server.buckets.get('bucket')?.get('m/a.wav'), {
    contentType,
    bytes: Buffer.from('sound'),
  })
  t.equal((await fetch(other, { method: 'PUT', body: 'other' })).status, 412)
  server.faults.push({ status: 412 })
  await t.rejects(store.uploads.url(named('m/a.wav'), { contentType }), refusal(412))
})

t.test('a bucket that is not there is an error, not an empty store', async (t) => {
  const { server } = await opened(t)
  const store = gcsStore({ bucket: 'nowhere', apiEndpoint: server.endpoint, ...PATIENCE })
  const refused = { name: 'GcsError', status: 404, message: /bucket/ }
  await t.rejects(store.stat(named('x')), refused)
  await t.rejects(store.read(named('x')), refused)
  await t.rejects(store.create(named('x'), bytes('x'), BINARY), refused)
  await t.rejects(store.remove(named('x')), refused)
  await t.rejects(names(store, ''), refused)
})

t.test(
  'objects that are none of ours are passed over, and removed with their folder',
  async (t) => {
    const { server, store } = await opened(t)
    for (const name of ['job/1/', 'job/1/a', 'job/1//b', 'job/1/.~x'])
      server.put('bucket', name, bytes('x'))
    t.same(await names(store, ''), ['job/1/a'])
    await store.removeAll('job/1/')
    t.equal(server.buckets.get('bucket')?.size, 0)
  },
)

t.test('a revision of another kind of store is never met', async (t) => {
  const { store } = await opened(t)
  await store.create(named('x'), bytes('x'), BINARY)
  const revision = 'f0123456789abcdef' as never
  await t.rejects(store.read(named('x'), { revision }), { code: 'changed' })
})
