import t from 'tap'
import { SAMPLE_RATE } from '#shared/audio/pcm.ts'
import type { AnalyzeDerivative } from '#shared/derivative.ts'
import bpm from '#shared/derivatives/bpm.ts'
import { WorkerPool } from '../../services/analyze/pool.ts'
import { Listener } from '../../services/analyze/signal.ts'
import { analyzeTools } from '../../services/analyze/tools.ts'
import { band, cadence, noise, track, type Voice } from './synth.ts'

const pool = new WorkerPool({ threads: 2 })
const signal = new AbortController().signal
t.teardown(() => pool.close())

const estimate = (seconds: number, voice: Voice, options?: { right?: number }) =>
  analyzeTools({ pcm: track(seconds, voice, options), signal, pool }).tempo()

for (const truth of [90, 121.5, 128, 174]) {
  t.test(`a band at ${truth} BPM is found to 0.05, with confidence`, async (t) => {
    const { bpm, confidence, reason, windows } = await estimate(40, band(truth))
    t.ok(Math.abs((bpm ?? 0) - truth) <= 0.05, `found ${bpm}`)
    t.ok(confidence > 0.7, `confidence ${confidence}`)
    t.equal(reason, undefined)
    t.same(windows, [{ from: 0, to: 40 }])
  })
}

t.test('a broken beat is found too', async (t) => {
  const { bpm } = await estimate(30, band(138.25, { fourToTheFloor: false }))
  t.ok(Math.abs((bpm ?? 0) - 138.25) <= 0.05, `found ${bpm}`)
})

for (const seconds of [5, 8, 20]) {
  t.test(`${seconds} seconds are enough for a tempo to 0.5 BPM`, async (t) => {
    const { bpm } = await estimate(seconds, band(126))
    t.ok(Math.abs((bpm ?? 0) - 126) <= 0.5, `found ${bpm}`)
  })
}

t.test('neither level nor an inverted channel changes the tempo', async (t) => {
  const loud = band(124)
  const soft = await estimate(30, (i) => 0.01 * loud(i))
  const inverted = await estimate(30, loud, { right: -1 })
  t.ok(Math.abs((soft.bpm ?? 0) - 124) <= 0.05, `found ${soft.bpm}`)
  t.ok(Math.abs((inverted.bpm ?? 0) - 124) <= 0.05, `found ${inverted.bpm}`)
})

t.test('what has no tempo says why', async (t) => {
  const hiss = noise(7)
  const cases: readonly (readonly [string, number, Voice, string])[] = [
    ['digital silence', 30, () => 0, 'silence'],
    ['dither', 30, (i) => hiss(i) / 32_767, 'silence'],
    ['DC', 30, () => 0.5, 'silence'],
    ['one sample', 1 / SAMPLE_RATE, () => 0.5, 'silence'],
    ['three seconds of music', 3, band(128), 'too short'],
    ['white noise', 30, (i) => 0.3 * hiss(i), 'no steady beat'],
    ['white noise, shortly', 6, (i) => 0.3 * hiss(i), 'no steady beat'],
    [
      'a held bass note',
      20,
      (i) => 0.3 * Math.sin((2 * Math.PI * 49 * i) / SAMPLE_RATE),
      'no steady beat',
    ],
    ['one click', 20, (i) => (i === 400_000 ? 1 : 0), 'no steady beat'],
  ]
  for (const [what, seconds, voice, reason] of cases) {
    const found = await estimate(seconds, voice)
    t.match(found, { bpm: null, confidence: 0, reason }, what)
    t.same(found.windows, [{ from: 0, to: Number(seconds.toFixed(3)) }])
  }
})

t.test('a sample that is not finite is noticed, before anything is made of it', (t) => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const listener = new Listener(10 * SAMPLE_RATE)
    const voice = band(128)
    const mono = Float32Array.from({ length: 10 * SAMPLE_RATE }, (_, i) => voice(i))
    mono[123_456] = bad
    listener.hearMono(mono)
    t.equal(listener.heard().unfit, 'not finite')
  }
  t.end()
})

t.test('of a long track ten minutes are read, from its start to its end', async (t) => {
  // A mix of an hour from a loop of two bars: making it must not take the time.
  const loop = Math.round(((8 * 60) / 127) * SAMPLE_RATE)
  const voice = band(127)
  const two = Float32Array.from({ length: loop }, (_, i) => voice(loop + i))
  const pcm = track(3600, (i) => two[i % loop] as number)
  const tools = analyzeTools({ pcm, signal, pool })
  const { bpm, windows } = await tools.tempo()
  t.ok(Math.abs((bpm ?? 0) - 127) <= 0.05, `found ${bpm}`)
  t.equal(pcm.samplesRead, 600 * SAMPLE_RATE)
  t.equal(windows.length, 10)
  t.same([windows[0]?.from, windows[9]?.to], [0, 3600])
})

t.test('tempo and key of a track share one reading', async (t) => {
  const [beat, tune] = [band(120), cadence(9, 'minor')]
  const pcm = track(20, (i) => 0.3 * beat(i) + tune(i))
  const tools = analyzeTools({ pcm, signal, pool })
  const [tempo, key] = await Promise.all([tools.tempo(), tools.key()])
  t.equal(pcm.samplesRead, pcm.samples)
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
  const pools = [pool, pool, own, own]
  const made = await Promise.all(
    pools.map((pool) => render(analyzeTools({ pcm: track(20, band(133.7)), signal, pool }))),
  )
  const texts = made.map(({ json }) => new TextDecoder().decode(json))
  t.equal(new Set(texts).size, 1)
  t.match(JSON.parse(texts[0] ?? ''), { bpm: Number, confidence: Number, windows: Array })
})
