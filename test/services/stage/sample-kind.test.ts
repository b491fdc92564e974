import t from 'tap'
import { LAWS } from '../../../services/stage/formats/iff/laws.ts'
import type { PcmLayout } from '../../../services/stage/formats/layout.ts'
import { readHeader } from '../../../services/stage/formats/read-header.ts'
import { aiff, coded, flac, wav } from '../../support/audio.ts'
import { snr } from '../../support/decoded.ts'
import { claiming, whole } from '../../support/masters/contradicting.ts'
import { over } from '../../support/masters/damaged.ts'
import { scaled, stage } from '../../support/stage.ts'
import {
  type Channel,
  club,
  joined,
  mixed,
  noise,
  RATE,
  silence,
  sine,
} from '../../support/synth.ts'

const N = 22_050
const [left, right] = club(N)
const music = [left, right]
const square = (high: number, low: number) =>
  Float64Array.from({ length: N }, (_, i) => (i % 100 < 50 ? high : low))

const bare = (channels: readonly Channel[], bits: number, float = false) =>
  wav(channels, { bits, float }).subarray(44)
const asInt = { channels: 2, bits: 32 }
const asFloat = { ...asInt, tag: 3 }
const in32 = (bits: number) => ({ channels: 2, bits, block: 8 })

/** Numbers of `bytes` bytes at the lower end of wider blocks, or at the upper end. */
function widened(numbers: Buffer, bytes: number, wider: number, isLow: boolean): Buffer {
  const wide = Buffer.alloc((numbers.length / bytes) * wider)
  for (let i = 0; i < numbers.length / bytes; i++) {
    const value = numbers.readIntLE(i * bytes, bytes)
    wide.writeIntLE(isLow ? value : value * 2 ** (8 * (wider - bytes)), i * wider, wider)
  }
  return wide
}

async function kindOf(file: Buffer) {
  const header = (await readHeader(whole(file))) as PcmLayout
  const { encoding, bits, lowBits, warnings = [] } = header
  const codes = warnings.map(({ code }) => code)
  return { kind: `${encoding} ${bits}${lowBits === undefined ? '' : ` low ${lowBits}`}`, codes }
}

t.test('what the samples are counts where it is beyond doubt', async (t) => {
  const lows = (channels: readonly Channel[], bytes: number, wider: number) =>
    widened(bare(channels, bytes * 8), bytes, wider, true)
  const hiss = [noise(N, { amplitude: 1 }), noise(N, { amplitude: 1, seed: 2 })]
  const cases = [
    ['floats as integers', claiming(bare(music, 32, true), asInt), 'float 32'],
    ['noise of floats as integers', claiming(bare(hiss, 32, true), asInt), 'float 32'],
    ['integers as floats', claiming(bare(music, 32), asFloat), 'int 32'],
    [
      '16 bits in 32 as floats',
      claiming(widened(bare(music, 16), 2, 4, false), asFloat),
      'int 32',
    ],
    ['24 bits low in 32', claiming(lows(music, 3, 4), in32(24)), 'int 32 low 24'],
    ['noise of 24 bits low in 32', claiming(lows(hiss, 3, 4), in32(24)), 'int 32 low 24'],
    ['16 bits low in 32', claiming(lows(music, 2, 4), in32(16)), 'int 32 low 16'],
    [
      '16 bits low in 24',
      claiming(lows(music, 2, 3), { channels: 2, bits: 16, block: 6 }),
      'int 24 low 16',
    ],
    [
      'AIFF-C of floats as integers',
      over(aiff(music, { compression: 'fl32', bits: 32 }), 38, 'in32'),
      'float 32',
    ],
    [
      'AIFF-C of integers as floats',
      over(aiff(music, { compression: 'in32', bits: 32 }), 38, 'fl32'),
      'int 32',
    ],
  ] as const
  for (const [what, file, kind] of cases)
    t.same(await kindOf(file), { kind, codes: ['HEADER_CONTRADICTS'] }, what)
})

t.test('and the header, where they show nothing', async (t) => {
  const quiet = noise(N, { amplitude: 1e-5 })
  const sounds: Record<string, Channel> = {
    ...{ music: left, silence: silence(N), tone: sine(N, 440, { amplitude: 1 }) },
    ...{ noise: noise(N, { amplitude: 1 }), 'quiet noise': quiet },
    ...{ square: square(1, -1), 'lopsided square': square(0.4, -0.6) },
    'lopsided square with noise': mixed(square(0.4, -0.6), noise(N, { amplitude: 0.05 })),
    'noise off the middle': mixed(square(0.45, 0.45), noise(N, { amplitude: 0.01 })),
    'one click': Float64Array.from({ length: N }, (_, i) => (i === 99 ? 1 : 0)),
  }
  for (const [what, sound] of Object.entries(sounds)) {
    const both = [sound, sound.map((x) => x / 2)]
    for (const [how, body, fields, kind] of [
      ['floats', bare(both, 32, true), asFloat, 'float 32'],
      ['integers', bare(both, 32), asInt, 'int 32'],
      ['16 bits in 32', widened(bare(both, 16), 2, 4, false), asInt, 'int 32'],
      ['24 bits in 32', widened(bare(both, 24), 3, 4, false), in32(24), 'int 32'],
      ['24 valid of 32', bare(both, 32), { ...asInt, validBits: 24 }, 'int 32'],
    ] as const) {
      const found = await kindOf(claiming(body, fields))
      t.same(found, { kind, codes: [] }, `${what} as ${how}`)
    }
  }
  const loose = claiming(bare([square(0.5, -0.5), square(0.5, -0.5)], 32, true), asInt)
  t.same(await kindOf(loose), { kind: 'int 32', codes: [] }, 'a square of floats')
  const none = bare([square(Number.NaN, 0.5), square(0.5, Number.NaN)], 32, true)
  t.same(await kindOf(claiming(none, asFloat)), { kind: 'float 32', codes: [] }, 'half NaN')
})

const swapped = (numbers: Buffer, bytes: number) => {
  const copy = Buffer.from(numbers)
  for (let at = 0; at < copy.length; at += bytes) copy.subarray(at, at + bytes).reverse()
  return copy
}
/** The highest bit of each number turned: from 0 on or around it. */
const turned = (numbers: Buffer, bytes: number) =>
  numbers.map((byte, at) => (at % bytes === bytes - 1 ? byte ^ 0x80 : byte)) as Buffer

/** Interleaved samples, each the byte whose number is nearest. */
function byLaw(channels: readonly Channel[], law: keyof typeof LAWS): Buffer {
  const numbers = [...LAWS[law]].map((value, byte) => ({ value, byte }))
  numbers.sort((a, b) => a.value - b.value)
  const bytes = (channels[0] ?? []).length * channels.length
  return Buffer.from(
    Uint8Array.from({ length: bytes }, (_, n) => {
      const x = channels[n % channels.length]?.[Math.floor(n / channels.length)] ?? 0
      let [low, high] = [0, 255]
      while (high - low > 1) {
        const middle = (low + high) >> 1
        if ((numbers[middle]?.value ?? 0) <= x) low = middle
        else high = middle
      }
      return numbers[low]?.byte ?? 0
    }),
  )
}

t.test('what is noise as the header has it is read as what is sound', async (t) => {
  const both = music.map((channel) => channel.map((x) => 1.5 * x))
  for (const channels of [both, both.slice(0, 1)]) {
    const numbers = (bits: number, float = false) => bare(channels, bits, float)
    const clipped = bare(
      channels.map((channel) => channel.map((x) => 6 * x)),
      24,
    )
    const said = (body: Uint8Array, bits: number, tag = 1) =>
      claiming(body, { channels: channels.length, bits, tag })
    const cases = [
      ['16 bits, big-endian', said(swapped(numbers(16), 2), 16), 'int 16'],
      ['24 bits, big-endian', said(swapped(numbers(24), 3), 24), 'int 24'],
      ['32 bits, big-endian', said(swapped(numbers(32), 4), 32), 'int 32'],
      ['floats, big-endian', said(swapped(numbers(32, true), 4), 32, 3), 'float 32'],
      ['doubles, big-endian', said(swapped(numbers(64, true), 8), 64, 3), 'float 64'],
      ['8 bits, signed', said(turned(numbers(8), 1), 8), 'int 8'],
      ['A-law as 8 bits', said(byLaw(channels, 'alaw'), 8), 'alaw 8'],
      ['µ-law as 8 bits', said(byLaw(channels, 'mulaw'), 8), 'mulaw 8'],
      ['µ-law as A-law', said(byLaw(channels, 'mulaw'), 8, 6), 'mulaw 8'],
      ['8 bits as µ-law', said(numbers(8), 8, 7), 'int 8'],
      ['16 bits, unsigned', said(turned(numbers(16), 2), 16), 'int 16'],
      ['16 as 24', said(numbers(16), 24), 'int 16'],
      ['16 as 32', said(numbers(16), 32), 'int 16'],
      ['16 as 8', said(numbers(16), 8), 'int 16'],
      ['16 as floats', said(numbers(16), 32, 3), 'int 16'],
      ['24 as 16', said(numbers(24), 16), 'int 24'],
      ['24 as 32', said(numbers(24), 32), 'int 24'],
      ['32 as 16', said(numbers(32), 16), 'int 32'],
      ['8 as 16', said(numbers(8), 16), 'int 8'],
      ['doubles as floats', said(numbers(64, true), 32, 3), 'float 64'],
      ['floats as doubles', said(numbers(32, true), 64, 3), 'float 32'],
      ['floats as 16', said(numbers(32, true), 16), 'float 32'],
      ['16 low in 32, unsaid', said(widened(numbers(16), 2, 4, true), 32), 'int 32'],
      ['24 low in 32, unsaid, clipped', said(widened(clipped, 3, 4, true), 32), 'int 32'],
      [
        'floats of the scale of integers',
        said(bare(channels.map(scaled), 32, true), 32, 3),
        'float 32',
      ],
    ] as const
    for (const [what, file, kind] of cases) {
      const found = await kindOf(file)
      t.same(found, { kind, codes: ['HEADER_CONTRADICTS'] }, `${channels.length}: ${what}`)
    }
  }
  const { warnings = [] } = await readHeader(
    whole(over(aiff(both, { compression: 'sowt' }), 38, 'twos')),
  )
  t.match(warnings, [
    {
      sentence:
        'the header says big-endian integers of 16 bits, and the samples are little-endian integers of 16 bits; they were read as such',
    },
  ])
})

t.test('what only looks odd is read as the header has it', async (t) => {
  const hiss = noise(2 * N, { amplitude: 1 })
  const each = (f: (i: number) => number) => Float64Array.from({ length: N }, (_, i) => f(i))
  const at = (hz: number) => (i: number) => Math.sin((2 * Math.PI * hz * i) / RATE)
  const sounds: Record<string, Channel> = {
    music: left,
    'quiet music': left.map((x) => x / 250),
    'music at -50 dB': left.map((x) => x / 290),
    'very quiet music': left.map((x) => x / 10_000),
    'clipped music': left.map((x) => Math.max(-1, Math.min(1, 30 * x))),
    noise: hiss.subarray(0, N),
    'high noise': each((i) => ((hiss[i] ?? 0) - (hiss[i + 1] ?? 0)) / 2),
    'noise of one bit, and pauses': each((i) =>
      i % 2000 < 1900 ? Math.sign(hiss[i] ?? 0) : 0,
    ),
    cymbals: each((i) => (hiss[i] ?? 0) * Math.exp(-(i % 5000) / 800)),
    'the highest tone': each((i) => (i & 1 ? 1 : -1) * (0.6 + 0.39 * Math.sin(i / 500))),
    'a high tone': each(at(20_000)),
    sweep: each((i) => Math.sin(((i * i) / N) * (Math.PI / 2))),
    'a square and noise': each((i) => Math.sign(at(500)(i + 0.5)) * 0.93 + (hiss[i] ?? 0) / 50),
    'a high square and pauses': each((i) => (i % 1500 < 1100 ? Math.sign(at(9000)(i)) : 0)),
    dither: each((i) => (hiss[i] ?? 0) / 32_768),
  }
  for (const [what, sound] of Object.entries(sounds)) {
    const coarse = sound.map((x) => Math.round(x * 127) / 128)
    for (const channels of [[sound], [sound, sound.map((x) => x * 0.7)], [coarse, coarse]]) {
      for (const [bits, float] of [
        ...([8, 16, 24, 32] as const).map((bits) => [bits, false] as const),
        ...([32, 64] as const).map((bits) => [bits, true] as const),
      ]) {
        const { codes } = await kindOf(wav(channels, { bits, float }))
        t.same(codes, [], `${what}, ${channels.length}, ${bits}${float ? ' float' : ''}`)
      }
    }
  }
})

t.test('they come through at their level', async (t) => {
  const low = widened(bare(music, 24), 3, 4, true)
  for (const [what, file] of [
    ['low', claiming(low, in32(24))],
    ['floats as integers', claiming(bare(music, 32, true), asInt)],
    ['integers as floats', claiming(bare(music, 32), asFloat)],
    ['big-endian', claiming(swapped(bare(music, 16), 2), { channels: 2, bits: 16 })],
    ['unsigned', claiming(turned(bare(music, 16), 2), { channels: 2, bits: 16 })],
  ] as const) {
    const { samples, left: got } = await stage(file)
    t.equal(samples, N, what)
    const fidelity = snr(scaled(left), got, { from: 0, to: N })
    t.ok(fidelity > 75, `${what}: ${fidelity.toFixed(1)} dB`)
  }
})

t.test('samples that are no numbers are counted, and silence takes their place', async (t) => {
  const spoilt = (at: readonly number[], value: number) =>
    left.map((x, i) => (at.includes(i) ? value : x))
  for (const bits of [32, 64] as const) {
    for (const [what, channels, said] of [
      ['none', music, undefined],
      ['beyond full scale', [left.map((x) => 9 * x), right], undefined],
      ['one', [spoilt([441], Number.NaN), right], 'one of its 44100 samples is no number'],
      [
        'some',
        [spoilt([22_000, 441, 9], Number.NEGATIVE_INFINITY), right],
        '3 of its 44100 samples are no numbers',
      ],
      ['all', [square(Number.NaN, Number.NaN)], 'all its 22050 samples are no numbers'],
    ] as const) {
      const { warnings } = await stage(wav(channels, { bits, float: true }))
      t.equal(warnings.length, said === undefined ? 0 : 1, what)
      t.match(warnings[0]?.sentence ?? '', said ?? '')
    }
  }
  const { warnings } = await stage(
    wav([spoilt([441, 450], Number.NaN)], { bits: 32, float: true, rate: 96_000 }),
    { partSamples: RATE },
  )
  t.match(warnings, [{ code: 'DAMAGED', sentence: /2 of its .*, the first at 0\.005 s/ }])
})

t.test(
  'stereo of noise and sound is no wider number, and silence proves nothing',
  async (t) => {
    const hiss = (amplitude: number) => noise(N, { amplitude, seed: 5 })
    for (const amplitude of [0.3, 0.9, 1])
      for (const [bits, kind] of [
        [16, 'int 16'],
        [24, 'int 24'],
        [8, 'int 8'],
      ] as const)
        t.same(await kindOf(wav([hiss(amplitude), right], { bits })), { kind, codes: [] })
    const mute = silence(4 * N)
    const swapped = (file: Buffer) => {
      const other = Buffer.from(file)
      other.subarray(44).swap16()
      return other
    }
    for (const sound of [joined(left, mute), joined(mute, left), joined(mute, left, mute)]) {
      const file = wav([sound, sound])
      t.same(await kindOf(file), { kind: 'int 16', codes: [] })
      const { codes } = await kindOf(swapped(file))
      t.same(codes, ['HEADER_CONTRADICTS'])
      t.match(await readHeader(whole(swapped(file))), { bits: 16, bigEndian: true })
    }
  },
)

t.test('encoded sound in place of samples is refused by its name', async (t) => {
  const within = (data: Buffer) => {
    const file = Buffer.from(wav(music))
    file.set(data.subarray(0, file.length - 44), 44)
    return file
  }
  const synced = (sync: string, words = 2) => {
    const file = Buffer.from(wav(music))
    for (let n = 0; n < words; n++) file.set(Buffer.from(sync, 'hex'), 44 + 100 + n * 2012)
    return file
  }
  for (const [file, name] of [
    [synced('fe7f0180'), 'DTS'],
    [synced('7ffe8001'), 'DTS'],
    [synced('ff1f00e8'), 'DTS'],
    [synced('72f81f4e'), 'IEC 61937'],
    [within(await flac(wav([left, right]))), 'FLAC'],
    [within(await coded('a.mp3', wav([left, right]))), 'MP3'],
  ] as const)
    await t.rejects(readHeader(whole(file)), {
      code: 'MASTER_UNREADABLE',
      message: new RegExp(`^byte 44: .*${name}.* in place of samples`),
    })
  t.same((await kindOf(synced('fe7f0180', 1))).codes, [], 'one such word may be chance')
})

t.test('of ADPCM that is cut short the seconds are those of its blocks', async (t) => {
  for (const codec of ['adpcm_ima_wav', 'adpcm_ms']) {
    const file = await coded('a.wav', wav(music), ['-c:a', codec])
    const header = await readHeader(whole(file.subarray(0, file.length * 0.75)))
    const [cut] = header.warnings ?? []
    t.match(cut, { code: 'CUT_SHORT' }, codec)
    t.ok(Math.abs((cut?.promised_seconds ?? 0) - N / RATE) < 0.1, `${cut?.sentence}`)
    t.ok(Math.abs((cut?.present_seconds ?? 0) - (0.75 * N) / RATE) < 0.1, `${cut?.sentence}`)
  }
})
