import t from 'tap'
import { Crc16 } from '#shared/audio/flac-crc.ts'
import { flacFrameAt } from '#shared/audio/flac-frames.ts'
import { readHeader } from '#shared/audio/header.ts'
import type { FlacLayout } from '#shared/audio/layout.ts'
import { survey } from '#shared/audio/survey.ts'
import { coded, flac, noise, RATE, sine, wav } from '../support/audio.ts'
import { put } from '../support/damaged.ts'
import { crc, silentFlac } from '../support/silent-flac.ts'
import { bytesOf, soon, stage } from '../support/stage.ts'

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
  t.equal((await outcome(master)).samples, 2 * RATE - sample)
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
