import t from 'tap'
import type { AnalyzeDerivative } from '#shared/derivative.ts'
import key from '#shared/derivatives/key.ts'
import { keyName, pitchClassOf } from '#shared/music.ts'
import { WorkerPool } from '../../services/analyze/pool.ts'
import { analyzeTools } from '../../services/analyze/tools.ts'
import { band, cadence, noise, track, type Voice } from './synth.ts'

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

t.test('noise and drums have no tones to make a key of', async (t) => {
  const hiss = noise(3)
  const beat = band(125)
  for (const voice of [(i: number) => 0.3 * hiss(i), beat]) {
    t.match(await estimate(20, voice), { key: null, confidence: 0, reason: /^no (tones|key)$/ })
  }
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
  const [first, second] = made.map(({ json }) => new TextDecoder().decode(json))
  t.equal(first, second)
  t.match(JSON.parse(first ?? ''), { key: 'D minor', camelot: '7A', openKey: '12m' })
})
