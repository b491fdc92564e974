import t from 'tap'
import { Crc16 } from '../../../services/stage/formats/flac/crc.ts'
import { frameEnd } from '../../../services/stage/formats/flac/frame-end.ts'
import { allFlacFrames, flacFrameAt } from '../../../services/stage/formats/flac/frames.ts'
import type { SoundFrame } from '../../../services/stage/formats/flac/sound.ts'
import type { FlacLayout } from '../../../services/stage/formats/layout.ts'
import { readHeader } from '../../../services/stage/formats/read-header.ts'
import { survey } from '../../../services/stage/formats/survey.ts'
import { coded, flac, wav } from '../../support/audio.ts'
import { put } from '../../support/masters/damaged.ts'
import { crc, silentFlac } from '../../support/masters/silent-flac.ts'
import { bytesOf, soon, stage } from '../../support/stage.ts'
import { noise, RATE, silence, sine } from '../../support/synth.ts'

const file = await flac(wav([sine(2 * RATE, 440), noise(2 * RATE)]))
const other = await flac(wav([sine(RATE, 660), noise(RATE, { seed: 3 })]))
const packed = file.readBigUInt64BE(18)
const promising = (samples: number) =>
  put(file, 18, 'u64be', (packed & ~0xfffffffffn) | BigInt(samples))
const id3v1 = Buffer.from('TAG'.padEnd(128, 'x'))

async function outcome(master: Buffer) {
  const { samples, warnings } = await stage(master)
  return { samples, codes: warnings.map(({ code }) => code) }
}

t.test('keys are equal where the checksum between them comes to nothing', (t) => {
  const bytes = Buffer.from(noise(400, { seed: 11 }).map((x) => x * 250))
  for (const [from, to] of [
    [0, 20],
    [13, 99],
    [50, 380],
  ] as const) {
    const sum = crc(bytes.subarray(from, to), 16, 0x8005)
    const summed = Buffer.from(bytes)
    summed.writeUInt16BE(sum, to)
    const keys = new Crc16(summed)
    t.equal(keys.keyAt(from), keys.keyAt(to + 2), `${from} to ${to + 2}`)
    const broken = new Crc16(put(summed, to, 'u16be', sum ^ 1))
    t.not(broken.keyAt(from), broken.keyAt(to + 2))
  }
  t.end()
})

t.test('a frame ends where its subframes end', async (t) => {
  const hiss = [0, 1e-3, 0.1, 1].map((amplitude) => noise(20_000, { amplitude }))
  const deep = await flac(wav(hiss, { bits: 24, rate: 96_000 }), { bits: 24 })
  const still = await flac(wav([silence(20_000), silence(20_000)]))
  for (const [what, master] of Object.entries({ file, other, deep, still })) {
    const layout = (await readHeader(bytesOf(master))) as FlacLayout
    for await (const frames of allFlacFrames(bytesOf(master), layout)) {
      t.ok(frames.length > 1, what)
      const ends = frames.map(({ byte, length }) =>
        frameEnd(master, byte, length, layout.streamInfo),
      )
      t.same(
        ends,
        frames.map(({ end }) => end),
        what,
      )
      const { byte = 0, end = 0, length = 0 } = frames[0] ?? {}
      const cut = frameEnd(master.subarray(0, end - 1), byte, length, layout.streamInfo)
      t.equal(cut, undefined, `${what}, without its last byte`)
    }
  }
  const none = Buffer.concat([file.subarray(0, 1000), Buffer.alloc(1 << 20)])
  const { offset, streamInfo } = (await readHeader(bytesOf(file))) as FlacLayout
  t.equal(frameEnd(none, offset, 4608, streamInfo), undefined, 'zeros without end')
})

t.test('the frames count, whatever the header promises', async (t) => {
  const N = 2 * RATE
  for (const [what, master, samples, codes] of [
    ['as it is', file, N, []],
    ['too few', promising(N / 4), N, ['HEADER_CONTRADICTS']],
    ['too many', promising(10 * N), N, ['CUT_SHORT']],
    ['none', promising(0), N, []],
    ['a tag behind', Buffer.concat([file, id3v1]), N, []],
    ['zeros behind', Buffer.concat([file, Buffer.alloc(9000)]), N, []],
    ['text behind', Buffer.concat([file, Buffer.alloc(9000, 'text')]), N, []],
  ] as const) {
    t.same(await outcome(master), { samples, codes }, what)
  }
  const cut = await outcome(file.subarray(0, file.length - 9000))
  t.ok(cut.samples < N && cut.samples > N / 2, `${cut.samples}`)
  t.same(cut.codes, ['CUT_SHORT'])
})

t.test('FLACs that were joined are taken whole', async (t) => {
  const cases: readonly (readonly [string, Buffer, number])[] = [
    ['twice the same', Buffer.concat([file, file]), 4],
    ['two', Buffer.concat([file, other]), 3],
    ['three, tags between', Buffer.concat([other, id3v1, file, other]), 4],
    ['nine', Buffer.concat(Array.from({ length: 9 }, () => other)), 9],
  ]
  for (const [what, master, seconds] of cases) {
    const expected = { samples: seconds * RATE, codes: ['HEADER_CONTRADICTS'] }
    t.same(await outcome(master), expected, what)
  }
  const deep = await flac(wav([noise(RATE), noise(RATE)], { bits: 24 }), { bits: 24 })
  await t.rejects(stage(Buffer.concat([file, deep])), {
    code: 'MASTER_UNREADABLE',
    message: /the FLAC stream changes from 44100 Hz, 2 channels, 16 bits to .* 24 bits/,
  })
})

t.test('a stream that was recorded from its middle on is taken as it is', async (t) => {
  const layout = (await readHeader(bytesOf(file))) as FlacLayout & { samples: number }
  const { byte, sample } = await flacFrameAt(bytesOf(file), layout, RATE)
  const master = Buffer.concat([file.subarray(0, layout.offset), file.subarray(byte)])
  const { samples, warnings } = await stage(master)
  t.equal(samples, 2 * RATE - sample)
  t.match(warnings, [
    {
      code: 'CUT_SHORT',
      promised_seconds: 2,
      sentence: /the first 0\.\d+ s of them are missing/,
    },
  ])
  t.equal(warnings.length, 1)
  const unpromised = put(master, 18, 'u64be', packed & ~0xfffffffffn)
  t.same((await outcome(unpromised)).codes, [])
})

t.test('frames that come twice or out of turn are said to', async (t) => {
  const layout = (await readHeader(bytesOf(file))) as FlacLayout
  const frames: SoundFrame[] = []
  for await (const some of allFlacFrames(bytesOf(file), layout)) frames.push(...some)
  const places = [layout.offset, ...frames.map(({ end }) => end)]
  const pieces = places.slice(1).map((end, i) => file.subarray(places[i], end))
  const [a, b] = pieces.slice(4, 6) as [Buffer, Buffer]
  for (const [how, changed] of [
    ['twice', pieces.toSpliced(4, 0, a)],
    ['swapped', pieces.toSpliced(4, 2, b, a)],
  ] as const) {
    const master = Buffer.concat([file.subarray(0, layout.offset), ...changed])
    t.same((await outcome(master)).codes, ['DAMAGED'], how)
  }
  // A file that breaks off within a frame: a checksum of what is there may be right by chance.
  const keys = new Crc16(file)
  const within = frames.slice(8).flatMap(({ byte, end }) => {
    for (let at = byte + 500; at < end - 500; at++)
      if (keys.keyAt(at) === keys.keyAt(byte)) return [at]
    return []
  })
  t.ok(within.length > 0, 'a place is found')
  t.same((await outcome(file.subarray(0, (within[0] ?? 0) + 99))).codes, ['CUT_SHORT'])
})

t.test('a header that is not that of the frames is not believed', async (t) => {
  const head = (rate: number, channels: number, bits: number) => {
    const format =
      (BigInt(rate) << 44n) | BigInt((channels - 1) * 2 ** 41 + (bits - 1) * 2 ** 36)
    return put(file, 18, 'u64be', format | BigInt(2 * RATE))
  }
  for (const [what, master] of [
    ['rate', head(96_000, 2, 16)],
    ['channels', head(RATE, 1, 16)],
    ['bits', head(RATE, 2, 24)],
    ['blocks', put(put(file, 8, 'u16be', 1024), 10, 'u16be', 1024)],
  ] as const) {
    const { samples, warnings } = await stage(master)
    t.equal(samples, 2 * RATE, what)
    t.match(warnings, [
      { code: 'HEADER_CONTRADICTS', sentence: /, and its frames 44100 Hz, 2/ },
    ])
    t.equal(warnings.length, 1, what)
  }
})

t.test('FLAC in Ogg is taken, and 32 bits are refused without a word of damage', async (t) => {
  const ogg = await coded('a.oga', wav([sine(RATE, 440)]), ['-c:a', 'flac'])
  t.equal((await stage(ogg)).samples, RATE)
  const deep = put(file, 18, 'u64be', packed | (31n << 36n))
  const said = await stage(deep).catch((error: Error) => error.message)
  t.match(said, /FLAC of 32-bit samples, which need not be damaged, .* does not decode/)
})

t.test('of hours of silence any frame is found, with a few looks', async (t) => {
  const hours = silentFlac(200_000)
  let read = 0
  const counted = bytesOf(hours, async (start, end) => {
    read += end - start
    return hours.subarray(start, end)
  })
  const layout = (await survey(counted, soon())) as FlacLayout & { samples: number }
  t.match(layout, { kind: 'flac', samples: 200_000 * 4096 })
  for (const number of [0, 1, 77_777, 199_999]) {
    const frame = await flacFrameAt(counted, layout, number * 4096 + 17)
    t.equal(frame.sample, number * 4096)
  }
  t.ok(read < 30e6, `${read} bytes`)
})
