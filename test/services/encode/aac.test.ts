import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import aac from '#shared/assets/built-in/aac-128.ts'
import { AAC_GRID } from '#shared/assets/definition.ts'
import type { PcmSource } from '#shared/audio/pcm.ts'
import { aacJoin } from '../../../services/encode/aac/aac.ts'
import { mayFollow, packets, windowSequence } from '../../../services/encode/aac/adts.ts'
import { encodeTools } from '../../../services/encode/tools.ts'
import { ffmpeg, inMemory, int16 } from '../../support/audio.ts'
import { bytesOf } from '../../support/bytes.ts'
import { allDecodedByFfmpeg } from '../../support/decoded.ts'
import { timeLimit } from '../../support/patience.ts'
import { club, noise, RATE } from '../../support/synth.ts'

if (aac.stage !== 'encode' || !('grid' in aac)) throw new Error('aac-128 is split')
const { part, join: joinParts } = aac
const signal = timeLimit(100_000)
const folder = await mkdtemp(join(tmpdir(), 'aac-'))
t.teardown(() => rm(folder, { recursive: true }))

/** The parts of a track, with `cells` cells in each. */
async function partsOf(pcm: PcmSource, cells: number): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = []
  const step = cells * AAC_GRID
  for (let start = 0; start < pcm.samples; start += step) {
    const end = Math.min(pcm.samples, start + step)
    parts.push(await part({ start, end }, encodeTools(pcm, signal)))
  }
  return parts
}

async function m4a(pcm: PcmSource, parts: readonly Uint8Array[]): Promise<Buffer> {
  return bytesOf((await joinParts(parts, encodeTools(pcm, signal))).m4a)
}

/** One pass over all of it, as ADTS. */
async function encoded(pcm: Int16Array): Promise<Buffer> {
  return ffmpeg(
    [
      ...['-f', 's16le', '-ar', '44100', '-ac', '2', '-i', 'pipe:0', '-c:a', 'aac'],
      ...[
        '-b:a',
        '128k',
        '-aac_coder',
        'fast',
        '-flags:a',
        '+bitexact',
        '-f',
        'adts',
        'pipe:1',
      ],
    ],
    new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength),
  )
}

interface Seen {
  readonly said: string
  readonly start: string
  readonly durationTs: number
  readonly packets: number
}

async function ffprobe(file: Uint8Array): Promise<Seen> {
  const path = join(folder, 'track.m4a')
  await writeFile(path, file)
  const { stdout, stderr } = await promisify(execFile)('ffprobe', [
    ...['-v', 'warning', '-of', 'json', '-count_packets', '-show_streams', path],
  ])
  const [stream] = JSON.parse(stdout).streams
  return {
    said: stderr,
    start: stream.start_time,
    durationTs: stream.duration_ts,
    packets: Number(stream.nb_read_packets),
  }
}

/** What ffmpeg makes of files: it drops the priming, and leaves the last packet whole. */
const decoded = (...files: readonly Uint8Array[]) => allDecodedByFfmpeg(files, 'm4a')

t.test('the length is exact for every length', async (t) => {
  const music = int16(club(RATE + 1100))
  const lengths = [1, 2, 1023, 1024, 1025, 2048, RATE, RATE + 1]
  const files = await Array.fromAsync(lengths, async (samples) => {
    const pcm = inMemory(music.subarray(0, 2 * samples))
    return m4a(pcm, await partsOf(pcm, 1))
  })
  const pcm = await decoded(...files)
  for (const [n, samples] of lengths.entries()) {
    const file = files[n] as Buffer
    const seen = await ffprobe(file)
    t.equal(seen.said, '', `${samples}: nothing to warn of`)
    t.equal(seen.durationTs, samples, `${samples}: the number of samples by the container`)
    t.equal(Number(seen.start), 0, `${samples}: from 0`)
    t.equal(seen.packets, Math.ceil(samples / 1024) + 1)
    t.equal(
      (pcm[n]?.length ?? 0) / 2,
      Math.ceil(samples / 1024) * 1024,
      `${samples}: decoded to whole packets`,
    )
    t.equal(gapless(file).samples, samples, `${samples}: by iTunSMPB`)
    const { priming, padding } = gapless(file)
    t.equal(priming + samples + padding, seen.packets * 1024)
  }
})

t.test('several cells', async (t) => {
  const samples = 3 * AAC_GRID + 17
  const music = long(samples)
  const pcm = inMemory(music)
  const single = await partsOf(pcm, 1)
  const file = await m4a(pcm, single)

  t.test('give the same bytes however they are grouped', async (t) => {
    const grouped = [
      await part({ start: 0, end: 2 * AAC_GRID }, encodeTools(pcm, signal)),
      ...single.slice(2),
    ]
    t.equal(Buffer.compare(file, await m4a(pcm, grouped)), 0)
    t.equal(Buffer.compare(file, await m4a(pcm, [Buffer.concat(single)])), 0)
  })

  t.test('are exactly as long as the track, and open without a warning', async (t) => {
    const seen = await ffprobe(file)
    t.equal(seen.said, '')
    t.equal(seen.durationTs, samples)
    t.ok(file.indexOf('moov') < file.indexOf('mdat'), 'moov comes first')
  })

  t.test('sound as good at the seams as if there were none', async (t) => {
    const pieces = [5_120, 10_240].map((seam) => {
      // One pass from long before the seam to beyond it.
      const first = seam - 500
      return { seam, first, piece: music.subarray(2048 * first, 2048 * (seam + 40)) }
    })
    const [got, ...onePasses] = (await decoded(
      file,
      ...(await Array.fromAsync(pieces, async ({ piece }) =>
        bytesOf(await aacJoin([await encoded(piece)], piece.length / 2)),
      )),
    )) as [Int16Array, ...Int16Array[]]
    const [ours, none, late]: [number[], number[], number[]] = [[], [], []]
    for (const [n, { seam, first, piece }] of pieces.entries()) {
      const onePass = onePasses[n] as Int16Array
      for (let frame = seam - 8; frame < seam + 8; frame++) {
        ours.push(frameError(music, got, frame))
        none.push(frameError(piece, onePass, frame - first))
        late.push(frameError(music.subarray(0, -2048), got.subarray(2048), frame))
      }
    }
    const aboveOnePass = percentile95(ours) - percentile95(none)
    t.ok(
      aboveOnePass <= 1,
      `the 95th percentile is ${aboveOnePass.toFixed(2)} dB above one pass`,
    )
    t.ok(percentile95(late) - percentile95(none) > 6, 'a lost packet would be heard')
    const level = 10 * Math.log10(music.reduce((sum, x) => sum + x * x, 0) / music.length)
    t.ok(level - percentile95(ours) > 12, 'it is the music')
  })

  t.test('whose windows do not fit together are refused', async (t) => {
    const windows = single.map((bytes) =>
      [...packets(bytes)].map((packet) => windowSequence(bytes, packet)),
    )
    t.ok(windows.flat().includes('short'), 'the music has transients')
    const all = windows.flat()
    const bytes = Buffer.concat(single)
    const found = [...packets(bytes)]
    const at = all.indexOf('short')
    const packet = found[at]
    const next = found[at + 1]
    if (!packet || !next) throw new Error('no short window')
    const without = Buffer.concat([
      bytes.subarray(0, packet.header),
      bytes.subarray(next.header),
    ])
    await t.rejects(aacJoin([without, bytes.subarray(0, found[0]?.end)], samples), {
      code: 'RENDER_FAILED',
      message: /AAC packet \d+: a ".*" window after a "start" window/,
    })
  })

  t.test('of which one is missing are refused', async (t) => {
    const joined = await aacJoin(single, samples)
    const [once, again] = [await bytesOf(joined), await bytesOf(joined)]
    t.equal(once.length, joined.byteLength, 'none is: it is as long as it says')
    t.equal(Buffer.compare(once, again), 0, 'each time that it is read')
    await t.rejects(aacJoin(single.slice(1), samples), /AAC packets for/)
    await t.rejects(aacJoin([...single, ...single.slice(3)], samples), /AAC packets for/)
    await t.rejects(
      aacJoin([single[0]?.subarray(1) ?? Buffer.alloc(0)], samples),
      /no ADTS frame/,
    )
  })
})

t.test('a track that ends with its cell brings its last packets', async (t) => {
  const pcm = inMemory(new Int16Array(2 * AAC_GRID))
  const [only, ...none] = await partsOf(pcm, 1)
  t.equal(none.length, 0)
  t.equal([...packets(only ?? Buffer.alloc(0))].length, AAC_GRID / 1024 + 1)
  t.equal((await ffprobe(await m4a(pcm, [only ?? Buffer.alloc(0)]))).durationTs, AAC_GRID)
})

t.test('hard music keeps the rate and the rules', async (t) => {
  const samples = 10 * RATE
  const gaps = noise(samples, { amplitude: 0.9 }).map((x, i) => (i % 11_025 < 3000 ? x : 0))
  for (const channels of [
    [noise(samples, { amplitude: 1 }), noise(samples, { seed: 2, amplitude: 1 })],
    [gaps, gaps],
    [new Float64Array(samples), new Float64Array(samples)],
  ]) {
    const pcm = inMemory(int16(channels))
    const [bytes = Buffer.alloc(0)] = await partsOf(pcm, 1)
    t.ok(bytes.length < (samples / RATE) * 20_000, `${bytes.length} bytes`)
    t.equal((await ffprobe(await m4a(pcm, [bytes]))).durationTs, samples)
  }
})

t.test('a range that is not made of cells is refused', async (t) => {
  const tools = encodeTools(inMemory(int16(club(3000))), signal)
  for (const [start, end] of [
    [0, 1024],
    [1, 3000],
    [0, 3001],
    [0, 0],
    [-AAC_GRID, 3000],
  ] as const) {
    await t.rejects(tools.aacPackets({ start, end }, 128_000), RangeError, `${start} to ${end}`)
  }
})

t.test('only transforms that add up may follow each other', async (t) => {
  t.ok(mayFollow('long', 'start') && mayFollow('start', 'short') && mayFollow('stop', 'long'))
  t.notOk(
    mayFollow('long', 'short') || mayFollow('start', 'long') || mayFollow('short', 'long'),
  )
})

/** A long track that is encoded quickly: music at the beginning and around the seams, silence elsewhere. */
function long(samples: number): Int16Array {
  const loop = int16(club(30 * RATE))
  const pcm = new Int16Array(2 * samples)
  for (let seam = 0; seam <= samples; seam += AAC_GRID) {
    const start = Math.max(0, 2 * (seam - 15 * RATE))
    const gain = 1 - 0.1 * (seam / AAC_GRID)
    for (let i = 0; i < Math.min(loop.length, pcm.length - start); i++) {
      pcm[start + i] = (loop[i] ?? 0) * gain
    }
  }
  return pcm
}

/** Power of the error over 1024 samples, dB of one step squared. */
function frameError(want: Int16Array, got: Int16Array, frame: number): number {
  let power = 1e-9
  for (let i = frame * 2048; i < (frame + 1) * 2048; i++) {
    power += ((want[i] ?? 0) - (got[i] ?? 0)) ** 2
  }
  return 10 * Math.log10(power / 2048)
}

function percentile95(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.95)] ?? 0
}

/** The content of iTunSMPB, for players that do not read edit lists. */
function gapless(file: Buffer): { priming: number; padding: number; samples: number } {
  const found = / 00000000 ([0-9A-F]{8}) ([0-9A-F]{8}) ([0-9A-F]{16})/.exec(
    file.toString('latin1'),
  )
  const [priming = 0, padding = 0, samples = 0] = (found ?? [])
    .slice(1)
    .map((x) => Number.parseInt(x, 16))
  return { priming, padding, samples }
}
