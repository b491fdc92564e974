import fc from 'fast-check'
import t from 'tap'
import key from '#shared/assets/built-in/key.ts'
import type { AnalyzeDerivative, KeyEstimate } from '#shared/assets/definition.ts'
import { keyName, pitchClassOf } from '#shared/audio/musical-keys.ts'
import { estimateKey } from '../../../services/analyze/key/estimate-key.ts'
import { LOW_RATE } from '../../../services/analyze/signal/listener.ts'
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
  chords,
  gained,
  joined,
  mixed,
  noise,
  pink,
  RATE,
  silence,
} from '../../support/synth.ts'

const pool = new WorkerPool({ threads: 2 })
const signal = new AbortController().signal
t.teardown(() => pool.close())

const tools = (sound: Channel) =>
  analyzeTools({ pcm: inMemory(int16([sound, sound])), signal, pool })
const estimate = (sound: Channel) => tools(sound).key()

/** At LOW_RATE: a cadence has nothing that this would fold. */
const every4th = (sound: Channel) =>
  Float32Array.from({ length: sound.length / 4 }, (_, i) => sound[4 * i] as number)

for (const [tonic, scale, camelot, openKey] of [
  ['C', 'major', '8B', '1d'],
  ['F#', 'major', '2B', '7d'],
  ['Ab', 'major', '4B', '9d'],
  ['A', 'minor', '8A', '1m'],
  ['C#', 'minor', '12A', '5m'],
  ['Eb', 'minor', '2A', '7m'],
] as const) {
  t.test(`chords in ${tonic} ${scale} are heard as that, which is ${camelot}`, async (t) => {
    const found = await estimate(cadence(16 * RATE, pitchClassOf(tonic), scale))
    t.match(found, { tonic, scale, key: `${tonic} ${scale}`, camelot, openKey })
    t.ok(found.confidence > 0.5 && found.confidence <= 1, `confidence ${found.confidence}`)
  })
}

t.test('what has no key says why', async (t) => {
  const none = { key: null, tonic: null, scale: null, camelot: null, openKey: null }
  t.match(await estimate(silence(10 * RATE)), { ...none, confidence: 0, reason: 'silence' })
  t.match(await estimate(cadence(3 * RATE, 0, 'major')), { ...none, reason: 'too short' })
})

t.test('noise, drums, speech and a level have no key', async (t) => {
  const n = 20 * RATE
  for (const [what, sound] of Object.entries({
    white: noise(n, { seed: 3, amplitude: 0.3 }),
    pink: pink(n, 4),
    applause: applause(n, 5),
    drums: band(n, 125),
    speech: babble(n, 1),
    'other speech': babble(n, 2),
    level: noise(n, { seed: 3, amplitude: 1e-3 }).map((x) => 0.5 + x),
  })) {
    const found = await estimate(sound)
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
  const random = noise(3040, { seed: 8, amplitude: 14 })
  const anything = Array.from({ length: 40 }, (_, i) =>
    [1, 2, 3].map((voice) => Math.round(62 + (random[1000 * voice + i] ?? 0))),
  )
  t.match(await estimate(chords(20 * RATE, [cluster])), { key: null, reason: 'no key' })
  t.match(await estimate(chords(80 * RATE, anything)), { key: null, reason: 'no key' })
})

t.test('a key is heard through drums', async (t) => {
  const drums = gained(0.6, band(32 * RATE, 120))
  const found = await estimate(mixed(drums, cadence(32 * RATE, 7, 'minor')))
  t.match(found, { key: 'G minor', camelot: '6A' })
})

for (const hz of [432, 436, 440, 445, 448]) {
  t.test(`an instrument tuned to ${hz} Hz is found, and its key is as written`, async (t) => {
    const found = await estimate(cadence(16 * RATE, 9 + 12 * Math.log2(hz / 440), 'major'))
    t.equal(found.key, 'A major')
    t.ok(Math.abs((found.tuningHz ?? 0) - hz) < 1.5, `${found.tuningHz} Hz`)
  })
}

t.test('a track that changes key says when', async (t) => {
  const sections = [cadence(60 * RATE, 0, 'major'), cadence(40 * RATE, 6, 'minor')]
  const found = await estimate(joined(...sections))
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
  const found = await estimate(cadence(60 * RATE, 4, 'minor'))
  t.match(found.keyOverTime, [{ from: 0, to: 60, key: 'E minor' }])
  t.equal(found.keyOverTime.length, 1)
})

t.test('each tune of a mix has its own key, speed and place', (t) => {
  const n = 25 * RATE
  // Windows of 25 s, minutes apart, as of a mix of hours; each tune is pitched otherwise.
  const tunes = [cadence(n, 0.3, 'major'), cadence(n, 5.8, 'minor'), cadence(n, 3.2, 'major')]
  const spans = tunes.map((_, i) => ({ start: i * 400 * RATE, end: i * 400 * RATE + n }))
  const low = every4th(joined(...tunes))
  const { keyOverTime } = estimateKey({ spans, low, rate: LOW_RATE })
  t.same(
    keyOverTime.map(({ from, to, key }) => [from, to, key]),
    ['C major', 'F# minor', 'Eb major'].map((key, i) => [i * 400, i * 400 + 25, key]),
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
  const n = 25 * RATE
  const windows = 24
  const spans = Array.from({ length: windows }, (_, i) => ({
    start: (i * 3_600_000 + 1) * 100,
    end: (i * 3_600_000 + 1) * 100 + n,
  }))
  const sounds = Array.from({ length: 12 }, (_, i) => every4th(cadence(n, i, 'minor')))
  const low = new Float32Array((windows * n) / 4)
  for (let i = 0; i < windows; i++) low.set(sounds[(5 * i) % 12] as Float32Array, (i * n) / 4)
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
  const tune = cadence(10 * RATE, 2, 'minor')
  const made = await Promise.all([render(tools(tune)), render(tools(tune))])
  const [first, second] = await Promise.all(
    made.map(async ({ json }) => (await bytesOf(json)).toString()),
  )
  t.equal(first, second)
  t.match(JSON.parse(first ?? ''), {
    ...{ key: 'D minor', camelot: '7A', openKey: '12m', tuningHz: 440 },
    keyOverTime: [{ from: 0, to: 10, key: 'D minor', camelot: '7A' }],
  })
})
