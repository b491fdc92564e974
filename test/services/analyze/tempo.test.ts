import fc from 'fast-check'
import t from 'tap'
import bpm from '#shared/assets/built-in/bpm.ts'
import type { AnalyzeDerivative } from '#shared/assets/definition.ts'
import type { PcmSource } from '#shared/audio/pcm.ts'
import { sourceOf } from '#shared/audio/ranged.ts'
import { tempoDecimals, tempoText } from '#shared/audio/tempo-decimals.ts'
import { essentia } from '../../../services/analyze/essentia.ts'
import { Listener } from '../../../services/analyze/signal/listener.ts'
import { estimateTempo, noTempo } from '../../../services/analyze/tempo/estimate-tempo.ts'
import { tempoError } from '../../../services/analyze/tempo/precision.ts'
import { analyzeTools } from '../../../services/analyze/tools.ts'
import { WorkerPool } from '../../../services/analyze/worker-pool.ts'
import { inMemory, int16 } from '../../support/audio.ts'
import { bytesOf } from '../../support/bytes.ts'
import {
  applause,
  babble,
  band,
  type Channel,
  cadence,
  gained,
  joined,
  mixed,
  noise,
  pink,
  RATE,
  silence,
  sine,
} from '../../support/synth.ts'

const pool = new WorkerPool({ threads: 2 })
const signal = new AbortController().signal
t.teardown(() => pool.close())

const tools = (sound: Channel, right = sound, own = pool) =>
  analyzeTools({ pcm: inMemory(int16([sound, right])), signal, pool: own })
const estimate = (sound: Channel, right?: Channel) => tools(sound, right).tempo()

for (const truth of [90, 121.5, 128, 174]) {
  t.test(`a band at ${truth} BPM is found to 0.05, with confidence`, async (t) => {
    const found = await estimate(band(30 * RATE, truth))
    t.ok(Math.abs((found.bpm ?? 0) - truth) <= 0.05, `found ${found.bpm}`)
    t.ok(found.confidence > 0.9, `confidence ${found.confidence}`)
    t.ok(found.octaveConfidence > 0.5, `of the octave ${found.octaveConfidence}`)
    t.equal(found.reason, undefined)
    t.equal(found.steady, true)
    t.match(found.tempoOverTime, [{ from: 0, to: 30, bpm: found.bpm, confidence: Number }])
    t.same(found.windows, [{ from: 0, to: 30 }])
  })
}

t.test('a broken beat is found too', async (t) => {
  const { bpm } = await estimate(band(30 * RATE, 138.25, { fourToTheFloor: false }))
  t.ok(Math.abs((bpm ?? 0) - 138.25) <= 0.05, `found ${bpm}`)
})

for (const seconds of [5, 8, 20]) {
  t.test(`${seconds} seconds are enough for a tempo to 0.5 BPM`, async (t) => {
    const { bpm } = await estimate(band(seconds * RATE, 126))
    t.ok(Math.abs((bpm ?? 0) - 126) <= 0.5, `found ${bpm}`)
  })
}

t.test('no more decimals are claimed than the length allows', async (t) => {
  const impulses = (seconds: number, sounding = seconds) => {
    const sound = silence(seconds * RATE)
    for (let second = 0; second < sounding; second++) sound[second * RATE + 4410] = 0.9
    return estimate(sound)
  }
  const [short, long, mute] = await Promise.all([impulses(10), impulses(60), impulses(60, 10)])
  t.match([short.bpm, short.tempoOverTime], [60, [{ bpm: 60 }]])
  t.equal(long.bpm, 60)
  const errors = [short, long].map(({ bpmError = 0 }) => bpmError)
  t.ok(Math.abs((errors[0] ?? 0) - 0.07) < 0.01, `± ${errors[0]}`)
  t.ok(Math.abs((errors[1] ?? 0) - 0.0046) < 0.0003, `± ${errors[1]}`)
  t.ok((mute.bpmError ?? 0) > 0.05, `silence adds nothing: ${mute.bpmError}`)
  t.equal((await estimate(silence(30 * RATE))).bpmError, undefined)
  for (const [seconds, truth] of [
    [8, 126.37],
    [20, 126.37],
    [60, 126.37],
  ] as const) {
    const { bpm, bpmError = 0 } = await estimate(band(seconds * RATE, truth))
    const printed = tempoText(bpm ?? 0, bpmError)
    t.equal(Number(printed), bpm, 'what is printed is what the asset says')
    const step = 10 ** -tempoDecimals(bpmError)
    t.ok(
      Math.abs((bpm ?? 0) - truth) <= Math.max(bpmError, step / 2),
      `${seconds} s: ${printed} ± ${bpmError}`,
    )
  }
  t.match(
    [0.02, 0.021, 0.2, 0.21].map((error) => tempoText(59.97, error)),
    ['59.97', '60.0', '60.0', '60'],
  )
})

t.test(
  'an error falls with the length to the power of three halves, and with every stretch',
  (t) => {
    t.ok(Math.abs(tempoError(120, [10]) / tempoError(120, [40]) - 8) < 0.5)
    t.ok(Math.abs(tempoError(120, [10, 10, 10, 10]) / tempoError(120, [10]) - 0.5) < 0.02)
    t.equal(tempoError(120, []), 120)
    t.end()
  },
)

t.test('neither level nor an inverted channel changes the tempo', async (t) => {
  const loud = band(30 * RATE, 124)
  const soft = await estimate(gained(0.01, loud))
  const inverted = await estimate(loud, gained(-1, loud))
  t.ok(Math.abs((soft.bpm ?? 0) - 124) <= 0.05, `found ${soft.bpm}`)
  t.ok(Math.abs((inverted.bpm ?? 0) - 124) <= 0.05, `found ${inverted.bpm}`)
})

t.test('what has no tempo says why', async (t) => {
  const n = 20 * RATE
  const hiss = (samples: number, amplitude: number) => noise(samples, { seed: 7, amplitude })
  const tone = (hz: number, amplitude: number) => sine(n, hz, { amplitude })
  const chord = [110.7, 165, 164.2, 220.9].map((hz) => tone(hz, 0.1))
  const click = silence(n)
  click[400_000] = 1
  const cases: readonly (readonly [string, Channel, string])[] = [
    ['digital silence', silence(n), 'silence'],
    ['dither', hiss(n, 1 / 32_768), 'silence'],
    ['DC', silence(n).fill(0.5), 'silence'],
    ['one sample', silence(1).fill(0.5), 'silence'],
    ['three seconds of music', band(3 * RATE, 128), 'too short'],
    ['white noise', hiss(n, 0.3), 'no steady beat'],
    ['white noise, shortly', hiss(6 * RATE, 0.3), 'no steady beat'],
    ['a held bass note', tone(49, 0.3), 'no steady beat'],
    ['pink noise', pink(n, 3), 'no steady beat'],
    ['applause', applause(n, 5), 'no steady beat'],
    ['a held chord, a little out of tune', mixed(tone(110, 0.1), ...chord), 'no steady beat'],
    ['one click', click, 'no steady beat'],
  ]
  for (const [what, sound, reason] of cases) {
    const found = await estimate(sound)
    t.match(found, { bpm: null, confidence: 0, reason }, what)
    const to = Number((sound.length / RATE).toFixed(3))
    t.same(found.windows, [{ from: 0, to }])
  }
})

t.test('a sample that is not finite is noticed, before anything is made of it', (t) => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const listener = new Listener(10 * RATE)
    const mono = Float32Array.from(band(10 * RATE, 128))
    mono[123_456] = bad
    listener.hearMono(mono)
    t.equal(listener.heard().unfit, 'not finite')
  }
  t.end()
})

t.test('speech has no tempo, however long', async (t) => {
  for (const seed of [1, 2, 3]) {
    const found = await estimate(babble(45 * RATE, seed))
    t.match(found, { bpm: null, reason: 'no steady beat' }, `voice ${seed}`)
  }
})

for (const [what, lead, pickup] of [
  ['that begins on the beat', 0, 0],
  ['that begins with silence', 2.345, 0],
  ['that begins with an upbeat', 1.1, 0.5],
] as const) {
  t.test(`the beats of a track ${what} are found to 10 ms`, async (t) => {
    const bpm = 123.4
    const beat = 60 / bpm
    const n = 60 * RATE
    const start = Math.round((lead + pickup * beat) * RATE)
    const upbeat = Math.round(lead * RATE)
    const music = band(n - start, bpm)
    const before = Math.round(12 * beat * RATE)
    const found = await estimate(
      joined(silence(upbeat), music.subarray(before, before + start - upbeat), music),
    )
    const first = (found.firstBeatMs ?? Number.NaN) / 1000
    t.ok(Math.abs(first - start / RATE) <= 0.01, `first beat at ${first} s`)
    const last = Math.floor((59 * bpm) / 60)
    const drift = first + (last * 60) / (found.bpm ?? 0) - (start / RATE + last * beat)
    t.ok(Math.abs(drift) <= 0.01, `${drift} s off at the end`)
  })
}

t.test('a change of tempo is reported, and the longer section is the track', async (t) => {
  const found = await estimate(joined(band(60 * RATE, 100), band(120 * RATE, 126)))
  t.equal(found.steady, false)
  t.equal(found.firstBeatMs, null)
  t.ok(Math.abs((found.bpm ?? 0) - 126) <= 0.05, `found ${found.bpm}`)
  t.ok(found.confidence < 0.8, `confidence ${found.confidence}`)
  t.same(
    found.tempoOverTime.map(({ from, to, bpm }) => [from, to, Math.round(bpm)]),
    [
      [0, 60, 100],
      [60, 180, 126],
    ],
  )
})

t.test('of a long mix ten minutes are read, from its start to its end', async (t) => {
  // Two hours from loops of two bars: making them must not take the time.
  const loops = [122, 126, 130].map((bpm) => {
    const length = Math.round(((8 * 60) / bpm) * RATE)
    const music = band(2 * length, bpm).subarray(length)
    return inMemory(int16([music, music]), 7200 * RATE)
  })
  let samplesRead = 0
  const pcm = sourceOf(7200 * RATE, (start, end) => {
    samplesRead += end - start
    const third = loops[Math.trunc(start / (2400 * RATE))] as PcmSource
    return third.read(start, end)
  })
  const found = await analyzeTools({ pcm, signal, pool }).tempo()
  t.equal(samplesRead, 600 * RATE)
  t.equal(found.windows.length, 24)
  t.same([found.windows[0]?.from, found.windows[23]?.to], [0, 7200])
  t.same(
    found.tempoOverTime.map(({ bpm }) => Math.round(bpm)),
    [122, 126, 130],
  )
  t.ok(JSON.stringify(found).length < 16_384)
})

t.test('whatever the signal, an estimate is made', (t) => {
  const { rhythm } = essentia()
  const piece = fc.record({
    level: fc.constantFrom(0, 1e-30, 0.5, 1, -1, 1e4),
    noisy: fc.boolean(),
  })
  const lengths = fc.integer({ min: 1, max: 12 * RATE })
  const pieces = fc.array(piece, { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(lengths, pieces, (length, pieces) => {
      const hiss = noise(length, { seed: length, amplitude: 1 })
      const listener = new Listener(length)
      const mono = new Float32Array(length)
      pieces.forEach(({ level, noisy }, k) => {
        const start = Math.trunc((length * k) / pieces.length)
        for (let i = start; i < length; i++)
          mono[i] = noisy ? level * (hiss[i] as number) : level
      })
      listener.hearMono(mono)
      const heard = listener.heard()
      const found = heard.unfit
        ? noTempo(heard.spans, heard.unfit)
        : estimateTempo(heard, rhythm)
      return found.bpm === null ? found.reason !== undefined : found.bpm > 25
    }),
    { numRuns: 30, seed: 7 },
  )
  t.end()
})

t.test('tempo and key of a track share one reading', async (t) => {
  const n = 20 * RATE
  const sound = mixed(gained(0.3, band(n, 120)), cadence(n, 9, 'minor'))
  const whole = inMemory(int16([sound, sound]))
  let samplesRead = 0
  const pcm = sourceOf(n, (start, end) => {
    samplesRead += end - start
    return whole.read(start, end)
  })
  const tools = analyzeTools({ pcm, signal, pool })
  const [tempo, key] = await Promise.all([tools.tempo(), tools.key()])
  t.equal(samplesRead, n)
  t.ok(Math.abs((tempo.bpm ?? 0) - 120) <= 0.5, `found ${tempo.bpm}`)
  t.equal(key.key, 'A minor')
  t.equal(await tools.tempo(), tempo, 'and an estimate is made once')
})

t.test('the asset is JSON, the same bytes each time, whichever worker made it', async (t) => {
  const definition = bpm as AnalyzeDerivative<'json'>
  if (!('render' in definition)) throw new Error('bpm is made of the whole track')
  const { render } = definition
  const own = new WorkerPool({ threads: 1 })
  t.teardown(() => own.close())
  const sound = band(10 * RATE, 133.7)
  const made = await Promise.all(
    [pool, pool, own, own].map((pool) => render(tools(sound, sound, pool))),
  )
  const texts = await Promise.all(
    made.map(async ({ json }) => (await bytesOf(json)).toString()),
  )
  t.equal(new Set(texts).size, 1)
  t.match(JSON.parse(texts[0] ?? ''), {
    bpm: Number,
    confidence: Number,
    octaveConfidence: Number,
    steady: true,
    firstBeatMs: Number,
    tempoOverTime: Array,
    windows: Array,
  })
})
