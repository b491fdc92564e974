import t from 'tap'
import { readHeader } from '../../../services/stage/formats/read-header.ts'
import { aiff, wav } from '../../support/audio.ts'
import { claiming, whole } from '../../support/masters/contradicting.ts'
import { stage } from '../../support/stage.ts'
import { type Channel, club, noise, RATE, silence, sine } from '../../support/synth.ts'

const SECONDS = 4
const N = SECONDS * RATE
const [left, right] = club(N)
const HEAD = 44

/** The file without `count` bytes at a share of its samples, or with as many more there. */
function changed(file: Buffer, share: number, count: number): Buffer {
  const at = HEAD + 2 * Math.floor((share * (file.length - HEAD)) / 2)
  const more = Buffer.alloc(Math.max(0, count), 0x3a)
  return Buffer.concat([file.subarray(0, at), more, file.subarray(at + Math.max(0, -count))])
}

async function warned(file: Buffer) {
  const { warnings = [] } = await readHeader(whole(file))
  return warnings.filter(({ code }) => code === 'DAMAGED' || code === 'HEADER_CONTRADICTS')
}

const KINDS = [
  ['16 bits', { bits: 16 }],
  ['24 bits', { bits: 24 }],
  ['32 bits', { bits: 32 }],
  ['floats', { bits: 32, float: true }],
] as const

t.test('a byte that is missing or too much within samples is warned of', async (t) => {
  const coarse = [left, right].map((x) => x.map((y) => Math.round(y * 32_767) / 32_768))
  for (const [kind, options] of KINDS) {
    for (const channels of [[left, right], [left], coarse]) {
      const file = wav(channels, options)
      for (const share of [0.1, 0.8]) {
        for (const count of [-1, 1]) {
          const found = await warned(changed(file, share, count))
          const what = `${kind}, ${channels.length}, ${count} at ${share}`
          t.match(
            found,
            [{ code: 'DAMAGED', sentence: /a byte .* is missing, or .* too many/ }],
            what,
          )
          const second = Number(/at about ([\d.]+) s/.exec(found[0]?.sentence ?? '')?.[1])
          t.ok(Math.abs(second - share * SECONDS) < 0.3, `${what}: ${second} s`)
        }
      }
    }
  }
  const file = aiff([left, right])
  t.match(await warned(changed(file, 0.4, -1)), [{ code: 'DAMAGED' }])
  const twice = changed(changed(wav([left, right]), 0.7, -1), 0.3, -1)
  t.match(await warned(twice), [{ code: 'DAMAGED' }], 'where a second byte puts it right again')
})

t.test('where all numbers begin later they are read from there', async (t) => {
  for (const [kind, options] of KINDS) {
    const file = wav([left, right], options)
    const late = Buffer.concat([file.subarray(0, HEAD), Buffer.from([7]), file.subarray(HEAD)])
    const sized = Buffer.from(late)
    sized.writeUInt32LE(late.length - HEAD, 40)
    sized.writeUInt32LE(late.length - 8, 4)
    const [warning] = await warned(sized)
    t.match(warning?.sentence, /begin a byte behind the place that its header gives/, kind)
    const got = await stage(sized)
    const want = await stage(file)
    for (const side of ['left', 'right'] as const)
      t.ok(Buffer.from(got[side].buffer).equals(Buffer.from(want[side].buffer)), kind)
  }
})

t.test('a WAV that was sent as text is refused, and by its name', async (t) => {
  for (const [kind, options] of KINDS) {
    const file = wav([left, right], options)
    const body = file.toString('latin1', HEAD).replace(/\n/g, '\r\n')
    const sent = Buffer.concat([file.subarray(0, HEAD), Buffer.from(body, 'latin1')])
    await t.rejects(
      readHeader(whole(sent)),
      { code: 'MASTER_UNREADABLE', message: /samples that were sent as text/ },
      kind,
    )
  }
})

t.test('what sounds odd is as it was made', async (t) => {
  const each = (f: (i: number) => number) =>
    Float64Array.from({ length: N / 8 }, (_, i) => f(i))
  const hiss = noise(N, { amplitude: 1 })
  const sounds: Record<string, Channel> = {
    noise: hiss.subarray(0, N / 8),
    'quiet noise': noise(N / 8, { amplitude: 0.001 }),
    silence: silence(N / 8),
    square: each((i) => (i % 100 < 50 ? 0.7 : -0.7)),
    'a square with noise': each((i) => (i % 100 < 50 ? 0.7 : -0.7) + (hiss[i] ?? 0) / 40),
    'clipped music': each((i) => Math.max(-1, Math.min(1, 40 * (left[i] ?? 0)))),
    'eight bits of music': each((i) => Math.round(127 * (left[i] ?? 0)) / 128),
    'quiet music': each((i) => (left[i] ?? 0) / 300),
    'music, then noise': each((i) => (i < N / 16 ? left : hiss)[i] ?? 0),
    'noise, then music': each((i) => (i < N / 16 ? hiss : left)[i] ?? 0),
    'music off the middle': each((i) => (left[i] ?? 0) / 100 + 0.01),
    'a high tone': sine(N / 8, 19_000),
  }
  for (const [what, sound] of Object.entries(sounds))
    for (const channels of [[sound], [sound, sound.map((x) => x * 0.7)]])
      for (const [kind, options] of KINDS)
        t.same(await warned(wav(channels, options)), [], `${what}, ${channels.length}, ${kind}`)
})

t.test(
  'numbers that were clipped to fewer bits and stand at the lower end are warned of',
  async (t) => {
    const low = (bits: number, wider: number, gain: number) => {
      const full = 2 ** (bits - 1)
      const scale = full / 2 ** (wider - 1)
      const clipped = (x: number) =>
        Math.max(-full, Math.min(full - 1, Math.round(gain * x * full)))
      return [left, right].map((x) => x.map((y) => (clipped(y) / full) * scale))
    }
    for (const [bits, wider] of [
      [12, 16],
      [16, 24],
      [20, 24],
      [24, 32],
    ] as const) {
      const [warning] = await warned(wav(low(bits, wider, 6), { bits: wider }))
      t.match(warning?.sentence, new RegExp(`use the lowest ${bits} of ${wider} alone`))
      const quiet = await warned(wav(low(bits, wider, 0.6), { bits: wider }))
      t.same(quiet, [], `${bits} in ${wider}, not clipped: it may be quiet`)
    }
    const body = wav(low(12, 16, 2)).subarray(HEAD)
    const [said] = await warned(claiming(body, { channels: 2, bits: 12, block: 4 }))
    t.match(
      said?.sentence,
      /integers of 12 bits, and the samples use the lowest 12 of 16 alone/,
    )
  },
)

t.test('a quiet beginning that is as declared is not read from elsewhere', async (t) => {
  const fading = [left, right].map((x) => x.map((y, i) => (i < N / 5 ? y / 100 : y)))
  for (const bits of [16, 24]) {
    const found = await warned(changed(wav(fading, { bits }), 0.2, -1))
    t.match(found, [{ code: 'DAMAGED' }], `${bits} bits`)
  }
})
