import t from 'tap'
import { isConformant, type Layout } from '../../../services/stage/formats/layout.ts'
import { readHeader } from '../../../services/stage/formats/read-header.ts'
import { aiff, flac, int16, wav } from '../../support/audio.ts'
import { snr } from '../../support/decoded.ts'
import { scaled, stage } from '../../support/stage.ts'
import { club, noise, RATE, silence, sine } from '../../support/synth.ts'

/** The middle of a track: a resampler cannot know what was before the first sample. */
const MIDDLE = { from: 2000, to: 86_200 }

t.test('a master of any rate and depth becomes the same music at 44.1 kHz', async (t) => {
  const cases = [
    { rate: 48_000, bits: 24, dB: 85 },
    { rate: 96_000, bits: 24, dB: 85 },
    { rate: 88_200, bits: 32, dB: 85 },
    { rate: 192_000, bits: 32, float: true, dB: 85 },
    { rate: 44_100, bits: 24, dB: 85 },
    { rate: 44_100, bits: 64, float: true, dB: 85 },
    { rate: 32_000, bits: 16, dB: 80 },
    { rate: 22_050, bits: 8, dB: 38 },
    { rate: 47_999, bits: 24, dB: 80 },
  ]
  for (const { dB, ...format } of cases) {
    const title = `${format.bits} bits at ${format.rate} Hz`
    const length = 2 * format.rate
    const { samples, left, right } = await stage(
      wav([sine(length, 997, format), sine(length, 5501, format)], format),
    )
    t.equal(samples, 2 * RATE, `${title}: the length is exact`)
    const lefts = snr(scaled(sine(samples, 997)), left, MIDDLE)
    const rights = snr(scaled(sine(samples, 5501)), right, MIDDLE)
    t.ok(lefts > dB, `${title}: left ${lefts.toFixed(1)} dB`)
    t.ok(rights > dB, `${title}: right ${rights.toFixed(1)} dB`)
  }
})

t.test('n samples at rate r become round(n × 44100 / r)', async (t) => {
  for (const rate of [8000, 22_050, 48_000, 96_000]) {
    for (const n of [1, 160, rate + 1]) {
      const { samples } = await stage(wav([noise(n)], { rate, bits: 24 }))
      t.equal(samples, Math.max(1, Math.round((n * RATE) / rate)), `${n} at ${rate} Hz`)
    }
  }
})

t.test('at 44.1 kHz every number is the rounded one', async (t) => {
  const channels = [noise(5000, { seed: 3 }), noise(5000, { seed: 4 })]
  const want = int16(channels)
  for (const file of [wav(channels, { bits: 32, float: true }), wav(channels, { bits: 32 })]) {
    const { left, right } = await stage(file)
    t.strictSame(
      left.every((x, i) => Math.abs(x - (want[2 * i] ?? 0)) <= 1),
      true,
    )
    t.ok(
      snr(
        want.filter((_, i) => i % 2 === 1),
        right,
      ) > 85,
    )
  }
})

t.test('mono goes to both sides at its full level', async (t) => {
  const tone = noise(3000)
  const { left, right } = await stage(wav([tone]))
  t.same(left, int16([tone]))
  t.same(right, left)
})

t.test('more than two channels are mixed down without clipping', async (t) => {
  const n = 4410
  const [loud, quiet] = [sine(n, 1000, { amplitude: 1 }), silence(n)]
  const scale = 1 + 2 * Math.SQRT1_2
  // Front left, front right, centre, low frequencies, surround left, surround right.
  const weights = [
    [1, 0],
    [0, 1],
    [Math.SQRT1_2, Math.SQRT1_2],
    [0, 0],
    [Math.SQRT1_2, 0],
    [0, Math.SQRT1_2],
  ]
  for (const [c, [toLeft = 0, toRight = 0]] of weights.entries()) {
    const { left, right } = await stage(
      wav(Array.from({ length: 6 }, (_, i) => (i === c ? loud : quiet))),
    )
    t.ok(Math.abs(Math.max(...left) - (32_768 * toLeft) / scale) < 40, `channel ${c} left`)
    t.ok(Math.abs(Math.max(...right) - (32_768 * toRight) / scale) < 40, `channel ${c} right`)
  }
  const all = await stage(wav(Array.from({ length: 6 }, () => loud)))
  t.ok(snr(scaled(loud), all.left) > 70, 'six full channels in phase just fill the scale')
})

t.test('a channel mask says which loudspeaker a channel is', async (t) => {
  const [loud, quiet] = [sine(4410, 1000), silence(4410)]
  // Front left, front right, back centre.
  const back = await stage(wav([quiet, quiet, loud], { mask: 0x103 }))
  t.ok(Math.abs(Math.max(...back.left) - 16_384 / 3) < 20)
  t.same(back.left, back.right)
})

t.test('silence stays silence', async (t) => {
  const { left, right } = await stage(wav([silence(96_000)], { rate: 96_000, bits: 24 }))
  t.ok(left.every((x) => x === 0) && right.every((x) => x === 0))
})

t.test('beyond full scale numbers clip, and what is no number becomes 0', async (t) => {
  const wild = sine(4410, 100, { amplitude: 4 })
  wild[10] = Number.NaN
  wild[11] = Number.POSITIVE_INFINITY
  wild[12] = Number.NEGATIVE_INFINITY
  const { left } = await stage(wav([wild, wild], { bits: 32, float: true }))
  t.same(left.subarray(10, 13), Int16Array.of(0, 0, 0))
  t.ok(
    left.every(
      (x, i) => i < 13 || Math.sign(x) === Math.sign(Math.round((wild[i] ?? 0) * 1e9)),
    ),
  )
  const square = sine(48_000, 100, { rate: 48_000 }).map((x) => (x < 0 ? -1 : 1))
  const squared = await stage(wav([square, square], { rate: 48_000, bits: 24 }))
  const period = (i: number) => (i * 100) / RATE - Math.floor((i * 100) / RATE)
  t.ok(
    squared.left.every((x, i) => {
      const at = period(i)
      if (i < 500 || i > 43_600 || Math.min(at % 0.5, 0.5 - (at % 0.5)) < 0.01) return true
      return at < 0.5 ? x > 30_000 : x < -30_000
    }),
    'a full-scale square wave does not wrap',
  )
})

t.test('parts follow each other and are conformant masters themselves', async (t) => {
  const [left, right] = club(48_000, { rate: 48_000 })
  const file = wav([left, right], { rate: 48_000, bits: 24 })
  const whole = await stage(file)
  const { parts, ...outcome } = await stage(file, { partSamples: 10_000 })
  t.same(
    parts.map(([start, end]) => [start, end]),
    [
      [0, 10_000],
      [10_000, 20_000],
      [20_000, 30_000],
      [30_000, 40_000],
      [40_000, 44_100],
    ],
  )
  for (const [start, end, part] of parts) {
    const read = async (from: number, to: number) => part.subarray(from, to)
    const layout = (await readHeader({ bytes: part.length, read })) as Layout
    t.ok(isConformant(layout))
    t.match(layout, { samples: end - start })
  }
  t.same(outcome.left, whole.left, 'the same music however it is cut')
  const even = await stage(file, { partSamples: 14_700 })
  t.equal(even.parts.length, 3, 'no empty part at the end')
})

t.test('FLAC comes through exactly, whatever else the file carries', async (t) => {
  const [left, right] = club(3 * RATE)
  const file = wav([left, right])
  const want = int16([left, right])
  const titled = await flac(file, { args: ['-metadata', `comment=${'x'.repeat(100_000)}`] })
  const tagged = Buffer.concat([await flac(file), Buffer.from('TAG'.padEnd(128, '\0'))])
  for (const master of [await flac(file), titled, tagged, await flac(file, { total: false })]) {
    const got = await stage(master)
    t.equal(got.samples, 3 * RATE)
    t.ok(got.left.every((x, i) => x === want[2 * i]))
    t.ok(got.right.every((x, i) => x === want[2 * i + 1]))
  }
  const format = { rate: 48_000, bits: 24 }
  const deep = await stage(
    await flac(wav([sine(96_000, 997, format), sine(96_000, 5501, format)], format), {
      bits: 24,
    }),
  )
  t.equal(deep.samples, 2 * RATE)
  t.ok(snr(scaled(sine(2 * RATE, 997)), deep.left, MIDDLE) > 85)
  t.ok(snr(scaled(sine(2 * RATE, 5501)), deep.right, MIDDLE) > 85)
})

t.test('a FLAC stream that does not hold what it promises is unreadable', async (t) => {
  const file = await flac(wav(club(5 * RATE)))
  const hurt = Buffer.from(file)
  hurt.fill(0x55, 200_000, 230_000)
  await t.rejects(stage(hurt), {
    code: 'MASTER_UNREADABLE',
    message: /damaged or cut short: of the 5\.000 s from second 0 on, \d\.\d+ s can/,
  })
  const flipped = Buffer.from(file)
  flipped[file.length >> 1] = (flipped[file.length >> 1] ?? 0) ^ 0x10
  await t.rejects(stage(flipped), { code: 'MASTER_UNREADABLE' }, 'a single bit is noticed')
  const noFrames = Buffer.concat([file.subarray(0, 200), Buffer.alloc(50_000, 0x11)])
  await t.rejects(stage(noFrames), { code: 'MASTER_UNREADABLE' })
})

t.test(
  'a number that is none costs itself alone, also where the rate is another',
  async (t) => {
    for (const [bits, bigEndian] of [
      [32, false],
      [64, false],
      [32, true],
      [64, true],
    ] as const) {
      const tone = sine(48_000, 997, { rate: 48_000 })
      const good = bigEndian
        ? aiff([tone], { rate: 48_000, bits, compression: `fl${bits}` })
        : wav([tone], { rate: 48_000, bits, float: true })
      const bad = Buffer.from(good)
      const at = good.length - (bits / 8) * 24_011
      if (bits === 32) bigEndian ? bad.writeFloatBE(Number.NaN, at) : bad.writeFloatLE(1e30, at)
      else bigEndian ? bad.writeDoubleBE(-1e300, at) : bad.writeDoubleLE(Number.NaN, at)
      const [clean, hurt] = [await stage(good), await stage(bad)]
      const differing = [...clean.left.keys()].filter((i) => clean.left[i] !== hurt.left[i])
      const [first = 0, last = 0] = [differing[0], differing.at(-1)]
      t.ok(last - first < 200, `${bits} bits: samples ${first} to ${last} differ`)
      t.ok(Math.abs(first - 22_050) < 200)
    }
  },
)

t.test('a store that gives too little, or fails, is no verdict on the master', async (t) => {
  const file = wav(club(RATE), { bits: 24 })
  const short = async (start: number, end: number) => file.subarray(start, end - 1)
  await t.rejects(stage(file, { read: short }), { name: 'Error', message: /ffmpeg gave/ })
  const failing = async () => {
    throw new Error('EIO')
  }
  await t.rejects(stage(file, { read: failing }), { name: 'Error', message: 'EIO' })
  const full = async (): Promise<void> => {
    throw new Error('ENOSPC')
  }
  await t.rejects(stage(file, { write: full }), { name: 'Error', message: 'ENOSPC' })
})

t.test('the same master gives the same bytes', async (t) => {
  const file = wav(club(96_000, { rate: 48_000 }), { rate: 48_000, bits: 24 })
  const [first, second] = [await stage(file), await stage(file)]
  t.ok(
    Buffer.compare(
      first.parts[0]?.[2] ?? Buffer.of(1),
      second.parts[0]?.[2] ?? Buffer.of(2),
    ) === 0,
  )
})

t.test('samples that look like a tag are samples', async (t) => {
  const file = wav(club(RATE), { bits: 24 })
  const like = Buffer.from(file)
  like.write('ID3\x04\0\0\0\0\x01\0', 44, 'latin1')
  const [sound, tagLike] = [await stage(file), await stage(like)]
  t.equal(tagLike.samples, sound.samples)
  t.same(tagLike.left.subarray(2), sound.left.subarray(2))
})
