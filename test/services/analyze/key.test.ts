import fc from 'fast-check'
import t from 'tap'
import key from '#shared/assets/built-in/key.ts'
import type { AnalyzeDerivative, KeyEstimate } from '#shared/assets/definition.ts'
import { keyName, pitchClassOf } from '#shared/audio/musical-keys.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { estimateKey } from '../../../services/analyze/key/estimate-key.ts'
import { LOW_RATE } from '../../../services/analyze/signal/listener.ts'
import { analyzeTools } from '../../../services/analyze/tools.ts'
import { WorkerPool } from '../../../services/analyze/worker-pool.ts'
import { bytesOf } from '../../support/bytes.ts'
import {
  applause,
  babble,
  band,
  cadence,
  chords,
  noise,
  pink,
  track,
  type Voice,
} from './synth.ts'

const pool = new WorkerPool({ threads: 2 })
const signal = new AbortController().signal
t.teardown(() => pool.close())

const estimate = (seconds: number, voice: Voice) =>
  analyzeTools({ pcm: track(seconds, voice), signal, pool }).key()

for (const [tonic, scale, camelot, openKey] of [
  ['C', 'major', '8B', '1d'],
  ['F#', 'major', '2B', '7d'],
  ['Ab', 'major', '4B', '9d'],
  ['A', 'minor', '8A', '1m'],
  ['C#', 'minor', '12A', '5m'],
  ['Eb', 'minor', '2A', '7m'],
] as const) {
  t.test(`chords in ${tonic} ${scale} are heard as that, which is ${camelot}`, async (t) => {
    const found = await estimate(16, cadence(pitchClassOf(tonic), scale))
    t.match(found, { tonic, scale, key: `${tonic} ${scale}`, camelot, openKey })
    t.ok(found.confidence > 0.5 && found.confidence <= 1, `confidence ${found.confidence}`)
  })
}

t.test('what has no key says why', async (t) => {
  const none = { key: null, tonic: null, scale: null, camelot: null, openKey: null }
  t.match(await estimate(10, () => 0), { ...none, confidence: 0, reason: 'silence' })
  t.match(await estimate(3, cadence(0, 'major')), { ...none, reason: 'too short' })
})

t.test('noise, drums, speech and a level have no key', async (t) => {
  const hiss = noise(3)
  for (const [what, voice] of Object.entries({
    white: (i: number) => 0.3 * hiss(i),
    pink: pink(4),
    applause: applause(20, 5),
    drums: band(125),
    speech: babble(20, 1),
    'other speech': babble(20, 2),
    level: (i: number) => 0.5 + 1e-3 * hiss(i),
  })) {
    const found = await estimate(20, voice)
    t.match(
      found,
      { key: null, confidence: 0, reason: /^no (tones|key)$/, tuningHz: null },
      what,
    )
    t.same(found.keyOverTime, [], what)
  }
})

t.test('all twelve notes at once have no key, nor have notes at random', async (t) => {
  const cluster = Array.from({ length: 12 }, (_, i) => 55 + i)
  const random = noise(8)
  const anything = Array.from({ length: 40 }, (_, i) =>
    [1, 2, 3].map((voice) => Math.round(62 + 14 * random(1000 * voice + i))),
  )
  t.match(await estimate(20, chords([cluster])), { key: null, reason: 'no key' })
  t.match(await estimate(80, chords(anything)), { key: null, reason: 'no key' })
})

t.test('a key is heard through drums', async (t) => {
  const [beat, tune] = [band(120), cadence(7, 'minor')]
  const found = await estimate(32, (i) => 0.6 * beat(i) + tune(i))
  t.match(found, { key: 'G minor', camelot: '6A' })
})

for (const hz of [432, 436, 440, 445, 448]) {
  t.test(`an instrument tuned to ${hz} Hz is found, and its key is as written`, async (t) => {
    const found = await estimate(16, cadence(9 + 12 * Math.log2(hz / 440), 'major'))
    t.equal(found.key, 'A major')
    t.ok(Math.abs((found.tuningHz ?? 0) - hz) < 1.5, `${found.tuningHz} Hz`)
  })
}

t.test('a track that changes key says when', async (t) => {
  const [first, second] = [cadence(0, 'major'), cadence(6, 'minor')]
  const change = 60 * SAMPLE_RATE
  const found = await estimate(100, (i) => (i < change ? first(i) : second(i - change)))
  t.match(found.keyOverTime, [
    { from: 0, key: 'C major', camelot: '8B' },
    { to: 100, key: 'F# minor', camelot: '11A' },
  ])
  t.equal(found.keyOverTime.length, 2)
  t.ok(Math.abs((found.keyOverTime[0]?.to ?? 0) - 60) <= 5)
  t.equal(found.keyOverTime[0]?.to, found.keyOverTime[1]?.from)
  t.ok(['C major', 'F# minor'].includes(found.key ?? ''), `${found.key} on the whole`)
})

t.test('a track in one key is one section', async (t) => {
  const tune = cadence(4, 'minor')
  const found = await estimate(60, tune)
  t.match(found.keyOverTime, [{ from: 0, to: 60, key: 'E minor' }])
  t.equal(found.keyOverTime.length, 1)
})

t.test('each tune of a mix has its own key, speed and place', (t) => {
  // Windows of 25 s, minutes apart, as of a mix of hours; each tune is pitched otherwise.
  const tunes = [
    ['C major', cadence(0.3, 'major')],
    ['F# minor', cadence(5.8, 'minor')],
    ['Eb major', cadence(3.2, 'major')],
  ] as const
  const spans = tunes.map((_, i) => ({
    start: i * 400 * SAMPLE_RATE,
    end: (i * 400 + 25) * SAMPLE_RATE,
  }))
  const each = 25 * LOW_RATE
  const low = Float32Array.from({ length: tunes.length * each }, (_, i) =>
    (tunes[Math.trunc(i / each)] as (typeof tunes)[number])[1](4 * i),
  )
  const { keyOverTime } = estimateKey({ spans, low, rate: LOW_RATE })
  t.same(
    keyOverTime.map(({ from, to, key }) => [from, to, key]),
    tunes.map(([key], i) => [i * 400, i * 400 + 25, key]),
  )
  t.end()
})

t.test('whatever the signal, the estimate is sound', (t) => {
  const piece = fc.record({
    note: fc.double({ min: 20, max: 110, noNaN: true }),
    loudness: fc.constantFrom(
      0,
      1e-30,
      1e-3,
      0.5,
      1,
      1e30,
      Number.NaN,
      Number.POSITIVE_INFINITY,
    ),
    seconds: fc.integer({ min: 0, max: 7 }),
  })
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 6 }),
      fc.integer({ min: 0, max: 60 }),
      (pieces, gaps) => {
        const low = Float32Array.from(
          pieces.flatMap(({ note, loudness, seconds }) => {
            const step = (2 * Math.PI * 440 * 2 ** ((note - 69) / 12)) / LOW_RATE
            return Array.from(
              { length: seconds * LOW_RATE },
              (_, i) => loudness * Math.sin(step * i),
            )
          }),
        )
        const spans = Array.from({ length: gaps + 1 }, (_, i) => {
          const share = (low.length * 4) / (gaps + 1)
          return {
            start: Math.trunc(share * i) + i * 1e6,
            end: Math.trunc(share * (i + 1)) + i * 1e6,
          }
        })
        check(estimateKey({ spans, low, rate: LOW_RATE }))
      },
    ),
    { numRuns: 40 },
  )
  t.end()

  function check(found: KeyEstimate): void {
    const { key, reason, confidence, tuningHz, keyOverTime } = found
    const sound =
      (key === null) === (reason !== undefined) &&
      (key === null) === (tuningHz === null) &&
      confidence >= 0 &&
      confidence <= 1 &&
      keyOverTime.every(
        (section, i) =>
          section.from < section.to &&
          section.from >= (keyOverTime[i - 1]?.to ?? 0) &&
          section.confidence >= 0 &&
          section.confidence <= 1,
      )
    if (!sound) throw new Error(JSON.stringify(found))
  }
})

t.test('the JSON is below 16 KiB though each window of a mix is in another key', (t) => {
  const each = 25 * LOW_RATE
  const windows = 24
  const tunes = Array.from({ length: 12 }, (_, i) => cadence(i, 'minor'))
  const spans = Array.from({ length: windows }, (_, i) => ({
    start: (i * 3_600_000 + 1) * 100,
    end: (i * 3_600_000 + 1) * 100 + 25 * SAMPLE_RATE,
  }))
  const sounds = tunes.map((tune) => Float32Array.from({ length: each }, (_, i) => tune(4 * i)))
  const low = new Float32Array(windows * each)
  for (let i = 0; i < windows; i++) low.set(sounds[(5 * i) % 12] as Float32Array, i * each)
  const found = estimateKey({ spans, low, rate: LOW_RATE })
  t.equal(found.keyOverTime.length, windows)
  t.ok(JSON.stringify(found).length < 16_384)
  t.end()
})

t.test('every key has its own name and its own place on both wheels', (t) => {
  const keys = (['major', 'minor'] as const).flatMap((scale) =>
    Array.from({ length: 12 }, (_, pitchClass) => keyName(pitchClass, scale)),
  )
  for (const notation of ['key', 'camelot', 'openKey'] as const) {
    t.equal(new Set(keys.map((key) => key[notation])).size, 24, notation)
  }
  for (const [i, { tonic }] of keys.entries()) t.equal(pitchClassOf(tonic), i % 12)
  t.throws(() => keyName(12, 'major'), RangeError)
  t.throws(() => pitchClassOf('H'), RangeError)
  t.end()
})

t.test('the asset is JSON, the same bytes each time', async (t) => {
  const definition = key as AnalyzeDerivative<'json'>
  if (!('render' in definition)) throw new Error('key is made of the whole track')
  const { render } = definition
  const made = await Promise.all(
    [1, 2].map(() =>
      render(analyzeTools({ pcm: track(10, cadence(2, 'minor')), signal, pool })),
    ),
  )
  const [first, second] = await Promise.all(
    made.map(async ({ json }) => (await bytesOf(json)).toString()),
  )
  t.equal(first, second)
  t.match(JSON.parse(first ?? ''), {
    ...{ key: 'D minor', camelot: '7A', openKey: '12m', tuningHz: 440 },
    keyOverTime: [{ from: 0, to: 10, key: 'D minor', camelot: '7A' }],
  })
})
