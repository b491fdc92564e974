import t from 'tap'
import type { Loudness } from '#shared/assets/built-in/loudness/measure.ts'
import { loudnessPart, unpackLoudness } from '#shared/assets/built-in/loudness/parts.ts'
import { PEAK_REACH, TruePeak } from '#shared/assets/built-in/loudness/true-peak.ts'
import loudness from '#shared/assets/built-in/loudness.ts'
import { sourceOf } from '#shared/audio/ranged.ts'
import { ffmpeg, inMemory, int16 } from '../../../support/audio.ts'
import { bytesOf } from '../../../support/bytes.ts'
import { timeLimit } from '../../../support/patience.ts'
import {
  type Channel,
  club,
  joined,
  noise,
  RATE,
  silence,
  sine,
} from '../../../support/synth.ts'

if (!('grid' in loudness)) throw new Error('loudness is split')
const { part, join, grid } = loudness

interface Measured {
  readonly result: Loudness
  readonly bytes: Uint8Array
}

/** The loudness of a track in parts of that many cells. Cells of another length make another asset. */
async function measured(pcm: Int16Array, cells = 1, cell = grid): Promise<Measured> {
  const source = inMemory(pcm)
  const signal = timeLimit(60_000)
  const tools = { pcm: source, signal } as never
  const parts: Uint8Array[] = []
  for (let start = 0; start < source.samples; start += cells * cell) {
    const range = { start, end: Math.min(source.samples, start + cells * cell) }
    const isOwn = cell === grid
    parts.push(await (isOwn ? part(range, tools) : loudnessPart(source, range, cell, signal)))
  }
  const bytes = await bytesOf((await join(parts, tools)).json)
  return { bytes, result: JSON.parse(bytes.toString()) }
}

async function of(left: Channel, right = left): Promise<Loudness> {
  return (await measured(int16([left, right]))).result
}

/** What ffmpeg's own implementation of EBU R 128 says in the end. */
async function byFfmpeg(pcm: Int16Array): Promise<Record<'I' | 'LRA' | 'true_peak', number>> {
  const filter = 'ebur128=peak=true:metadata=1,ametadata=print:file=-'
  const input = ['-f', 's16le', '-ar', `${RATE}`, '-ac', '2', '-i', 'pipe:0']
  const bytes = Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength)
  const said = await ffmpeg([...input, '-af', filter, '-f', 'null', '-'], bytes)
  const last = (name: string) =>
    Number([...said.toString().matchAll(new RegExp(`r128\\.${name}=(\\S+)`, 'g'))].at(-1)?.[1])
  return {
    I: last('I'),
    LRA: last('LRA'),
    true_peak: 20 * Math.log10(last('true_peak')),
  }
}

/** 1 kHz in both channels: pairs of dBFS and seconds, one after the other. */
function tones(...steps: readonly (readonly [db: number, seconds: number])[]): Channel {
  const each = steps.map(([db, seconds]) =>
    sine(Math.round(seconds * RATE), 1000, { amplitude: 10 ** (db / 20) }),
  )
  return joined(...each)
}

function near(
  t: { ok(value: unknown, what: string): boolean },
  got: number | null,
  want: number,
  within: number,
  what: string,
) {
  t.ok(got !== null && Math.abs(got - want) <= within, `${what}: ${got}, not ${want}`)
}

t.test('programme loudness meets EBU Tech 3341, signals 1 to 5', async (t) => {
  for (const [lufs, signal] of [
    [-23, tones([-23, 20])],
    [-33, tones([-33, 20])],
    [-23, tones([-36, 10], [-23, 60], [-36, 10])],
    [-23, tones([-72, 10], [-36, 10], [-23, 60], [-36, 10], [-72, 10])],
    [-23, tones([-26, 20], [-20, 20.1], [-26, 20])],
  ] as const) {
    near(t, (await of(signal)).integrated, lufs, 0.1, 'LUFS')
  }
})

t.test('ITU-R BS.1770-4: 997 Hz at full scale in one channel is -3.01 LUFS', async (t) => {
  const { integrated } = await of(sine(10 * RATE, 997, { amplitude: 1 }), silence(10 * RATE))
  near(t, integrated, -3.01, 0.02, 'LUFS')
})

t.test('the loudest 400 ms and 3 s are those of the windows that have them', async (t) => {
  const found = await of(tones([-40, 5], [-20, 0.4], [-40, 5]))
  near(t, found.momentaryMax, -20, 0.1, 'momentary')
  near(t, found.shortTermMax, -20 + 10 * Math.log10(0.4 / 3), 0.3, 'short-term')
})

t.test('loudness range meets EBU Tech 3342, signals 1 to 4', async (t) => {
  for (const [range, signal] of [
    [10, tones([-20, 20], [-30, 20])],
    [5, tones([-20, 20], [-15, 20])],
    [20, tones([-40, 20], [-20, 20])],
    [15, tones([-50, 20], [-35, 20], [-20, 20], [-35, 20], [-50, 20])],
  ] as const) {
    near(t, (await of(signal)).range, range, 0.2, 'LU')
  }
})

t.test('true peak meets EBU Tech 3341, signals 15 to 19', async (t) => {
  for (const [dbtp, amplitude, divisor, degrees] of [
    [-6, 0.5, 4, 0],
    [-6, 0.5, 4, 45],
    [-6, 0.5, 6, 60],
    [-6, 0.5, 8, 67.5],
    [3, 1.41, 4, 45],
  ] as const) {
    const phase = (degrees * Math.PI) / 180
    const { truePeak } = await of(sine(RATE, RATE / divisor, { amplitude, phase }))
    const what = `fs/${divisor} at ${degrees}°`
    t.ok(
      truePeak !== null && truePeak < dbtp + 0.2 && truePeak > dbtp - 0.4,
      `${what}: ${truePeak}`,
    )
  }
})

t.test('true peak is that of the band-limited waveform, wherever it hides', async (t) => {
  const random = noise(4000, { seed: 11, amplitude: 1 })
  let next = 0
  const pick = () => ((random[next++] ?? 0) + 1) / 2
  for (let round = 0; round < 12; round++) {
    // Of bass with a little treble, of treble alone, and all between: what is pruned differs.
    const tilt = 4 * pick()
    const partials = Array.from({ length: 30 }, () => {
      const hz = 30 + 18_500 * pick()
      return { hz, amplitude: (1000 / (1000 + hz)) ** tilt, phase: 2 * Math.PI * pick() }
    })
    const at = (time: number) =>
      partials.reduce(
        (sum, { hz, amplitude, phase }) =>
          sum + amplitude * Math.sin((2 * Math.PI * hz * time) / RATE + phase),
        0,
      )
    const count = 3000
    const samples = Float64Array.from({ length: count }, (_, n) => at(n))
    const scale = 30_000 / samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
    const pcm = new Int16Array(2 * count)
    for (const [n, x] of samples.entries()) pcm[2 * n + (round % 2)] = Math.round(scale * x)
    let want = 0
    for (let n = PEAK_REACH - 1; n <= count - PEAK_REACH; n += 0.25) {
      want = Math.max(want, scale * Math.abs(at(n)))
    }
    for (const x of samples) want = Math.max(want, scale * Math.abs(x))
    const peak = new TruePeak()
    peak.scan(pcm)
    const off = 20 * Math.log10(peak.truePeak / want)
    t.ok(Math.abs(off) < 0.03, `round ${round}: ${off.toFixed(4)} dB off`)
  }
})

/** Noise with nothing near half the rate. */
function hiss(samples: number, seed: number, amplitude: number): Channel {
  const white = noise(samples, { seed, amplitude })
  return white.map((x, i) => (x + (white[i - 1] ?? 0)) / 2)
}

t.test('agrees with ffmpeg in one pass, over the seams of its cells', async (t) => {
  const bar = club(8 * RATE)
  const pcm = new Int16Array(2 * (grid + 40 * RATE))
  for (let at = 0, n = 0; at < pcm.length; at += 16 * RATE, n++) {
    // Quiet at first, then driven into clipping, then as it is.
    const drive = n < 8 ? 0.1 : n < 20 ? 3.2 : 1
    const driven = int16(bar.map((channel) => channel.map((x) => drive * x)))
    pcm.set(driven.subarray(0, pcm.length - at), at)
  }
  // And something else across the seam, that comes and goes without a click.
  const swell = sine(4 * RATE, 1 / 8, { amplitude: 0.9 })
  const burst = [3, 4].map((seed) => hiss(4 * RATE, seed, 1).map((x, i) => x * (swell[i] ?? 0)))
  const across = pcm.subarray(2 * (grid - 2 * RATE), 2 * (grid + 2 * RATE))
  for (const [i, x] of int16(burst).entries()) across[i] = (across[i] ?? 0) / 4 + x / 2
  const [{ result }, want] = await Promise.all([measured(pcm), byFfmpeg(pcm)])
  near(t, result.integrated, want.I, 0.02, 'LUFS')
  near(t, result.range, want.LRA, 0.1, 'LU')
  // Clipped hats reach to half the rate, where no two interpolators are alike.
  near(t, result.truePeak, want.true_peak, 0.2, 'dBTP')
  const inOnePass = new TruePeak()
  inOnePass.scan(pcm)
  t.equal(result.truePeak, Math.round(2000 * Math.log10(inOnePass.truePeak / 32_768)) / 100)
})

t.test('agrees with ffmpeg on noise, where every interval may hold the peak', async (t) => {
  const pcm = int16([hiss(5 * RATE, 1, 0.99), hiss(5 * RATE, 2, 0.1)])
  const [{ result }, want] = await Promise.all([measured(pcm), byFfmpeg(pcm)])
  near(t, result.integrated, want.I, 0.02, 'LUFS')
  near(t, result.truePeak, want.true_peak, 0.1, 'dBTP')
})

t.test('the bytes do not depend on how many cells a part holds', async (t) => {
  // Longer than what is read at once.
  const cell = 1280 * 1024
  const pcm = new Int16Array(2 * (2 * cell + 300))
  for (let i = 0; i < pcm.length; i++) pcm[i] = 5 * (i % 4001) - 10_000
  // A peak between the last sample of a cell and the first of the next.
  pcm[4 * cell - 2] = 32_767
  pcm[4 * cell] = 32_767
  const single = await measured(pcm, 1, cell)
  for (const cells of [2, 3]) {
    t.equal(Buffer.compare(single.bytes, (await measured(pcm, cells, cell)).bytes), 0)
  }
  t.ok((single.result.truePeak ?? 0) > 1, 'and what lies between two cells is seen')
})

t.test('silence has no loudness, and is said to be silent', async (t) => {
  t.same(await of(silence(5 * RATE)), {
    integrated: null,
    range: null,
    momentaryMax: null,
    shortTermMax: null,
    truePeak: null,
    samplePeak: null,
    reason: 'silence',
    rangeReason: 'silence',
  })
})

t.test('what is softer than the absolute gate is silence with a peak', async (t) => {
  const pcm = int16([silence(5 * RATE), silence(5 * RATE)])
  for (let i = 0; i < pcm.length; i += 7) pcm[i] = i % 2 ? 1 : -1
  t.match((await measured(pcm)).result, {
    integrated: null,
    range: null,
    reason: 'silence',
    samplePeak: -90.31,
  })
})

t.test('a constant is no sound, though it has a level', async (t) => {
  for (const level of [0.5, -1]) {
    const { result } = await measured(
      int16([silence(4 * RATE), silence(4 * RATE)].map((c) => c.fill(level))),
    )
    t.match(result, { integrated: null, momentaryMax: null, reason: 'silence' })
    const db = Math.round(2000 * Math.log10(Math.abs(level))) / 100
    t.equal(result.samplePeak, db)
    t.equal(result.truePeak, db)
  }
})

t.test('a track shorter than a window says so, and has a peak all the same', async (t) => {
  for (const samples of [1, 31, 32, 33, 4409, 4 * 4410 - 1]) {
    const { integrated, reason, range, rangeReason, samplePeak, truePeak } = await of(
      sine(samples, 1000, { phase: Math.PI / 2 }),
    )
    t.same({ integrated, reason }, { integrated: null, reason: 'too short' }, `${samples}`)
    t.same({ range, rangeReason }, { range: null, rangeReason: 'too short' })
    t.equal(samplePeak, -6.02)
    near(t, truePeak, -6.02, 0.01, 'dBTP')
  }
  const shortest = await of(sine(4 * 4410, 1000))
  near(t, shortest.integrated, -6.02, 0.1, 'LUFS of 0.4 s')
  t.equal(shortest.rangeReason, 'too short')
  const longer = await of(sine(30 * 4410, 1000))
  t.equal(longer.range, 0, 'a tone of 3 s has a range')
  t.notOk('rangeReason' in longer)
})

t.test('of loud music nothing is left in the filters after some silence', async (t) => {
  const pcm = new Int16Array(2 * 20 * RATE)
  pcm.set(int16(club(5 * RATE)))
  const source = inMemory(pcm)
  const tools = { pcm: source, signal: timeLimit(10_000) } as never
  const { energies } = unpackLoudness([await part({ start: 0, end: 20 * RATE }, tools)])
  t.equal(energies.length, 200)
  t.ok(energies.subarray(0, 50).every((energy) => energy > 1e-6))
  t.ok(energies.subarray(60).every((energy) => energy === 0))
})

t.test('a part that is cut is refused', async (t) => {
  const source = sourceOf(RATE, async (start, end) => new Int16Array(2 * (end - start)))
  const tools = { pcm: source, signal: timeLimit(10_000) } as never
  const whole = await part({ start: 0, end: RATE }, tools)
  t.throws(() => unpackLoudness([whole.subarray(0, -8)]), /cut/)
  t.throws(() => unpackLoudness([whole.subarray(1)]), /wrong length/)
})
