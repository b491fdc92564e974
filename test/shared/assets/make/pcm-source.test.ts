import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import {
  type PcmStores,
  pcmSource,
  readBytes,
  wavPartName,
} from '#shared/assets/make/pcm-source.ts'
import { BLOCK_SAMPLES, BlockPool } from '#shared/audio/blocks.ts'
import { cachedPcm } from '#shared/audio/cached-pcm.ts'
import { sourceOf } from '#shared/audio/ranged.ts'
import { wavPart } from '#shared/audio/wav-part.ts'
import { RestartError } from '#shared/contracts/errors/chain.ts'
import type { JobId, ObjectName } from '#shared/contracts/names.ts'
import { openStore } from '#shared/store/open.ts'
import { readHeader } from '../../../../services/stage/formats/read-header.ts'
import { aiff, int16, sparseRf64, wav } from '../../../support/audio.ts'
import { club, noise } from '../../../support/synth.ts'

const channels = [noise(10_000, { seed: 1 }), noise(10_000, { seed: 2 })]
const want = int16(channels)
const run = { route: 'cloud', job: '0123456789abcdef01234567' as JobId, run: 1, plan: 'plan' }

async function stores(t: Test): Promise<PcmStores & { folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'pcm-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const driver = openStore(pathToFileURL(folder).href)
  return {
    folder,
    run,
    scratch: driver,
    locate: (uri) => ({ driver, name: uri.split('/').at(-1) as ObjectName }),
  }
}

async function inPlace(
  file: Buffer | undefined,
  name: string,
  given: PcmStores & { folder: string },
) {
  if (file !== undefined) await writeFile(join(given.folder, name), file)
  const stat = await given.scratch.stat(name as ObjectName)
  if (!stat) throw new Error('no master')
  const layout = await readHeader({
    bytes: stat.bytes,
    read: (start, end) => readBytes(given.scratch, stat.name, start, end),
  })
  if (layout.kind !== 'pcm') throw new Error('not PCM')
  return {
    kind: 'in-place' as const,
    uri: given.scratch.uri(stat.name),
    revision: stat.revision,
    offset: layout.offset,
    bigEndian: layout.bigEndian,
    samples: layout.samples,
  }
}

t.test('a conformant master is read where it lies, either way round', async (t) => {
  const given = await stores(t)
  for (const [name, file] of [
    ['master.wav', wav(channels)],
    ['master-64.wav', wav(channels, { rf64: true })],
    ['master.aiff', aiff(channels)],
    ['master.aifc', aiff(channels, { compression: 'sowt' })],
  ] as const) {
    const pcm = pcmSource(await inPlace(file, name, given), given)
    t.equal(pcm.samples, 10_000)
    t.same(await pcm.read(0, 10_000), want, name)
    t.same(await pcm.read(4321, 4323), want.subarray(8642, 8646), name)
    t.equal((await pcm.read(5, 5)).length, 0)
  }
})

t.test('an RF64 of more than 4 GB is read at its end', async (t) => {
  const given = await stores(t)
  const silent = 1.1e9
  await sparseRf64(join(given.folder, 'long.wav'), silent, channels)
  const place = await inPlace(undefined, 'long.wav', given)
  const pcm = pcmSource(place, given)
  t.equal(pcm.samples, silent + 10_000)
  t.same(await pcm.read(silent, silent + 10_000), want)
  t.ok((await pcm.read(silent - 1000, silent)).every((x) => x === 0))
})

t.test('staged parts read as one track', async (t) => {
  const given = await stores(t)
  for (let start = 0; start < 10_000; start += 3000) {
    const end = Math.min(10_000, start + 3000)
    const part = wavPart(want.subarray(2 * start, 2 * end))
    await given.scratch.create(wavPartName(run, start, end), part, { contentType: 'audio/wav' })
  }
  const pcm = pcmSource({ kind: 'staged', partSamples: 3000, samples: 10_000 }, given)
  t.same(await pcm.read(0, 10_000), want)
  t.same(await pcm.read(2999, 6001), want.subarray(5998, 12_002), 'across two seams')
  t.same(await pcm.read(9999, 10_000), want.subarray(19_998))
})

t.test('chunks are the samples in order, none longer than asked', async (t) => {
  const pcm = sourceOf(10_000, async (start, end) => want.slice(2 * start, 2 * end))
  const pieces: Int16Array[] = []
  for await (const piece of pcm.chunks(100, 9000, { size: 700 })) pieces.push(piece)
  t.ok(pieces.every((piece) => piece.length <= 1400))
  t.same(Int16Array.from(pieces.flatMap((piece) => [...piece])), want.subarray(200, 18_000))
})

t.test(
  'chunks of a power of two are all as long as asked, and views of cached blocks',
  async (t) => {
    const [start, end] = [3 * 65_536, 2 * BLOCK_SAMPLES + 65_537]
    const whole = Int16Array.from({ length: 2 * end }, (_, i) => (i * 2_654_435_761) >> 16)
    const held: Int16Array[] = []
    const source = sourceOf(end, async (from, to, _signal, into = new Int16Array(0)) => {
      into.set(whole.subarray(2 * from, 2 * to))
      held.push(into)
      return into
    })
    let at = 2 * start
    for await (const piece of cachedPcm(source).chunks(start, end)) {
      const isLast = at + piece.length === 2 * end
      if (piece.length !== 2 * 65_536 && !isLast) t.fail(`a piece of ${piece.length} at ${at}`)
      if (!held.some(({ buffer }) => buffer === piece.buffer)) t.fail(`a copy at ${at}`)
      if (Buffer.compare(bytes(piece), bytes(whole.subarray(at, at + piece.length))) !== 0)
        t.fail(`other samples at ${at}`)
      at += piece.length
    }
    t.equal(at, 2 * end)
  },
)

function bytes({ buffer, byteOffset, byteLength }: Int16Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}

t.test('a missing part or a changed master sends the run back', async (t) => {
  const given = await stores(t)
  const staged = pcmSource({ kind: 'staged', partSamples: 3000, samples: 10_000 }, given)
  await t.rejects(staged.read(0, 10), { name: 'RestartError', code: 'SCRATCH_MISSING' })

  const place = await inPlace(wav(channels), 'master.wav', given)
  const pcm = pcmSource(place, given)
  await pcm.read(0, 10)
  await writeFile(join(given.folder, 'master.wav'), wav(club(10_001)))
  await t.rejects(pcm.read(0, 10), { name: 'RestartError', code: 'MASTER_CHANGED' })
  await rm(join(given.folder, 'master.wav'))
  const error = await pcm.read(0, 10).catch((thrown: unknown) => thrown)
  t.ok(error instanceof RestartError && error.code === 'MASTER_CHANGED')
})

t.test('fewer bytes than there should be are an error', async (t) => {
  const given = await stores(t)
  const place = await inPlace(wav(channels), 'master.wav', given)
  const pcm = pcmSource({ ...place, samples: 10_001 }, given)
  await t.rejects(pcm.read(9000, 10_001), /ends at byte 40044, before 40048/)
})

t.test('a range outside the track is refused', async (t) => {
  const pcm = sourceOf(10, async () => new Int16Array(2))
  for (const [start, end] of [
    [-1, 1],
    [0, 11],
    [5, 4],
    [0.5, 1],
    [Number.NaN, 1],
  ] as const) {
    await t.rejects(pcm.read(start, end), RangeError)
  }
  await t.rejects(pcm.read(0, 2), /read 1 samples at 0, not 2/)
  await t.rejects(pcm.read(0, 1, AbortSignal.abort()), { name: 'AbortError' })
})

t.test('a cached source', async (t) => {
  const samples = 3_500_000
  const long = new Int16Array(2 * samples).map((_, i) => (i * 7919) & 0x7fff)
  const counting = () => {
    const reads: number[] = []
    const source = sourceOf(samples, async (start, end, signal) => {
      reads.push(start)
      await new Promise((resolve) => setTimeout(resolve, 5))
      signal?.throwIfAborted()
      return long.slice(2 * start, 2 * end)
    })
    return { reads, source }
  }

  t.test('fetches what two readers want once', async (t) => {
    const { reads, source } = counting()
    const pcm = cachedPcm(source)
    const scan = async () => {
      let sum = 0
      for await (const piece of pcm.chunks(0, samples)) sum += piece.length
      return sum
    }
    t.same(await Promise.all([scan(), scan()]), [2 * samples, 2 * samples])
    await scan()
    t.equal(reads.length, 4)
    t.ok((await pcm.read(1_000_000, 1_100_000)).every((x, i) => x === long[2_000_000 + i]))
  })

  t.test('keeps to its memory, and keeps what the next reader needs first', async (t) => {
    const { reads, source } = counting()
    const pcm = cachedPcm(source, { blocksAtMost: 2 })
    await pcm.read(0, samples)
    await pcm.read(0, samples)
    t.equal(reads.length, 4 + 3, 'the first block stays')
  })

  t.test('hands its memory on once it is released', async (t) => {
    const pool = new BlockPool(10)
    const source = sourceOf(samples, async (start, end, _signal, into = new Int16Array(0)) => {
      into.set(long.subarray(2 * start, 2 * end))
      return into
    })
    const first = cachedPcm(source, { pool })
    const view = await first.read(1000, 2000)
    first.release()
    const second = cachedPcm(source, { pool })
    t.equal((await second.read(0, 10)).buffer, view.buffer, 'the same memory')
    t.same(await second.read(1_048_000, 1_049_000), long.subarray(2_096_000, 2_098_000))
    const room = new Int16Array(20)
    t.equal(await second.read(5, 15, undefined, room), room)
    t.same(room, long.subarray(10, 30))
    await t.rejects(second.read(5, 16, undefined, room), /20 numbers of room for 11 samples/)
  })

  t.test('forgets failures, and one reader that gives up does not spoil another', async (t) => {
    const { reads, source } = counting()
    const pcm = cachedPcm(source)
    const abort = new AbortController()
    const first = pcm.read(0, 10, abort.signal)
    const second = pcm.read(0, 10)
    abort.abort()
    await t.rejects(first, { name: 'AbortError' })
    t.same(await second, long.subarray(0, 20))
    t.equal(reads.length, 2)
  })
})
