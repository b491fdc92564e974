import t from 'tap'
import { estimateKey, keyProbability } from '../../../services/analyze/key/estimate-key.ts'
import { bestFit, fitsOf } from '../../../services/analyze/key/profile.ts'
import { sectionsOf } from '../../../services/analyze/key/sections.ts'
import { hearSegments } from '../../../services/analyze/key/segments.ts'
import { Listener, LOW_RATE } from '../../../services/analyze/signal/listener.ts'
import { estimateTempo } from '../../../services/analyze/tempo/estimate-tempo.ts'
import { tempoLine } from '../../../services/analyze/tempo/line.ts'
import { evidenceFor, prominence } from '../../../services/analyze/tempo/metre.ts'
import {
  octaveFreeProbability,
  rankedTempos,
  ranking,
} from '../../../services/analyze/tempo/odds.ts'
import { joined, type Passage, piecesOf } from '../../../services/analyze/tempo/passage.ts'
import { pulses } from '../../../services/analyze/tempo/presence.ts'
import {
  joined as after,
  band,
  type Channel,
  cadence,
  gained,
  mixed,
  noise,
  RATE,
} from '../../support/synth.ts'

// These tests pin the values of constants that were fitted or set. A change of a constant by a few per cent
// has to be intended, and requires a new version of the asset. docs/reference/accuracy.md says where the values come
// from.
const hiss = (samples: number, amplitude: number) => noise(samples, { seed: 9, amplitude })

function heard(sound: Channel) {
  const listener = new Listener(sound.length)
  listener.hearMono(Float32Array.from(sound))
  return listener.heard()
}

/** Checks that all numbers are equal to the given number of decimals. */
function near(
  t: { ok(holds: boolean, words: string): unknown },
  found: Readonly<Record<string, number>>,
  expected: Readonly<Record<string, number>>,
  decimals: number,
) {
  for (const [key, value] of Object.entries(expected)) {
    const off = Math.abs((found[key] ?? Number.NaN) - value)
    t.ok(off < 10 ** -decimals, `${key}: ${found[key]}, not ${value}`)
  }
}

t.test('tempo: how evidence, prior and consent are weighed', (t) => {
  const none = {
    ...{ beat: 0, half: 0, quarter: 0, sixth: 0, bar: 0 },
    ...{ repetition: 0, lowRepetition: 0 },
  }
  const candidates = [
    ...[128, 64, 170].map((bpm) => ({ bpm, evidence: none })),
    ...Object.keys(none).map((name, i) => ({
      bpm: 100 + i,
      evidence: { ...none, [name]: 0.7 },
    })),
  ]
  const ranked = ranking(candidates, (bpm) => (bpm === 64 ? 0.5 : 0))
  const found = Object.fromEntries(ranked.map(({ bpm, probability }) => [bpm, probability]))
  const expected = {
    ...{ 106: 0.82164405, 102: 0.03481638, 105: 0.03435379, 104: 0.02344106, 103: 0.01838657 },
    ...{ 100: 0.01779573, 101: 0.01636056, 128: 0.01474823, 170: 0.01168544, 64: 0.00676819 },
  }
  near(t, found, expected, 7)
  t.end()
})

t.test('tempo: the evidence of a band in noise', (t) => {
  const n = 30 * RATE
  const sound = mixed(gained(0.5, band(n, 124)), hiss(n, 0.05))
  const passage = joined(piecesOf(heard(sound).energies))
  const expected = {
    ...{ beat: 4.385517, half: 5.009781, quarter: 5.083825, sixth: 4.871053, bar: 1.42364 },
    ...{ repetition: 0.96307, lowRepetition: 0.67504 },
  }
  near(t, { ...evidenceFor(passage, 124) }, expected, 4)
  const ranked = rankedTempos(passage)
  t.same(
    ranked.slice(0, 3).map(({ bpm }) => bpm),
    [124, 62, 186],
  )
  near(t, { best: ranked[0]?.probability ?? 0 }, { best: 0.990145 }, 4)
  t.end()
})

t.test('tempo: from when on anything pulses', (t) => {
  near(
    t,
    { few: prominence(1.5, 1), many: prominence(2, 9) },
    { few: 1.827972, many: 8.780319 },
    5,
  )
  const segments = Array.from({ length: 9 }) as Passage['segments']
  const passage = (level: number, strength: number): Passage => ({
    ...{ all: [new Float32Array(1000).fill(level)], low: [] },
    ...{ segments, strength: () => strength },
  })
  // 7.5 deviations of noise lie at 1.8636.
  t.equal(pulses(passage(0.2, 1.87)), true)
  t.equal(pulses(passage(0.2, 1.857)), false)
  t.equal(pulses(passage(0.101, 5)), true)
  t.equal(pulses(passage(0.099, 5)), false)
  t.end()
})

t.test('tempo: the least probability, and how long the second method is asked', (t) => {
  // Seven bands at once: which of them has the tempo is the less certain the louder the last three are.
  const bands = [97, 113, 131, 151, 167, 181, 199].map((bpm, k) =>
    gained(0.25, band(20 * RATE, bpm, { fourToTheFloor: k % 2 === 0 })),
  ) as [Channel, ...Channel[]]
  for (const [last, likelihood] of [
    [0.6, 0.3092],
    [0.63, 0.2889],
  ] as const) {
    const all = heard(
      mixed(...(bands.map((sound, k) => gained(k < 4 ? 1 : last, sound)) as typeof bands)),
    )
    const ranked = rankedTempos(joined(piecesOf(all.energies)))
    near(
      t,
      { likelihood: octaveFreeProbability(ranked, ranked[0]?.bpm ?? 0) },
      { likelihood },
      4,
    )
    t.equal(estimateTempo(all, () => 0).bpm === null, likelihood < 0.3, `${likelihood}`)
  }
  // As many windows as a long track has. Their content does not matter here.
  const windows = Array.from({ length: 6 }, () => new Float32Array(1))
  const clear = { ...heard(band(30 * RATE, 124)), windows }
  let asked = 0
  const agreeing = () => {
    asked++
    return 124.5
  }
  t.equal(estimateTempo(clear, agreeing).confidence, 0.99, 'no estimate says more')
  t.equal(asked, 2)
  asked = 0
  const { octaveConfidence } = estimateTempo(clear, () => {
    asked++
    return 93
  })
  t.equal(asked, 6, 'and while it does not agree, to the end')
  t.ok(octaveConfidence > 0.9)
  t.end()
})

t.test('tempo: from when on two passages have two tempos', (t) => {
  for (const [ratio, sections] of [
    [1.0049, 1],
    [1.0051, 2],
  ] as const) {
    const [first, second] = [band(30 * RATE, 120), band(30 * RATE, 120 * ratio)]
    const { energies } = heard(after(first, second))
    t.equal(tempoLine(piecesOf(energies), 120).length, sections, `${ratio}`)
  }
  t.end()
})

/** Pitch classes of a tune in C major, and of the same a whole tone higher. */
const TUNE = [5, 0.4, 3, 0.6, 4, 3.2, 0.5, 4.5, 0.7, 2.8, 0.9, 2.1]
const HIGHER = TUNE.map((_, i) => TUNE[(i + 10) % 12] as number)

t.test('key: how well pitch classes fit each key', (t) => {
  const fits = Object.fromEntries([...fitsOf(Float64Array.from(TUNE))].entries())
  const expected = [
    ...[0.9291066, -0.502925, 0.0421138, 0.2160895, -0.5600135, 0.8655689],
    ...[-0.8429468, 0.5290602, -0.0839578, -0.3067662, 0.5214066, -0.8067364],
    ...[0.637032, -0.635427, 0.7495212, -0.6734073, 0.3665815, 0.3712273],
    ...[-0.5824345, 0.6577353, -0.7182114, 0.7386324, -0.2163361, -0.2149133],
  ]
  near(t, fits, Object.fromEntries(expected.entries()), 6)
  const { margin, ...best } = bestFit(Float64Array.from(TUNE))
  t.match(best, { pitchClass: 0, scale: 'major' })
  near(t, { margin }, { margin: 0.0635377 }, 6)
  t.end()
})

t.test('key: how far to trust it', (t) => {
  const found = {
    usual: keyProbability({ fit: 0.9, margin: 0.05 }, 0.5),
    poor: keyProbability({ fit: 0.74, margin: 0.02 }, 0),
    chance: keyProbability({ fit: 0.7, margin: 0.1 }, 1),
    worse: keyProbability({ fit: 0.67, margin: 0.1 }, 1),
  }
  const expected = { usual: 0.8212736, poor: 0.2773896, chance: 0.1605642, worse: 0 }
  near(t, found, expected, 6)
  t.end()
})

t.test('key: from when on there are tones', (t) => {
  const n = 10 * RATE
  const [tune, rest] = [cadence(n, 9, 'minor'), hiss(n, 0.3)]
  for (const [level, agreement] of [
    [0.35, 0.0796],
    [0.355, 0.0806],
  ] as const) {
    const input = { ...heard(mixed(gained(level, tune), rest)), rate: LOW_RATE }
    near(t, { agreement: hearSegments(input).agreement }, { agreement }, 4)
    t.equal(estimateKey(input).reason === 'no tones', agreement < 0.08)
  }
  t.end()
})

t.test('key: what a change has to gain, and how much is read at once', (t) => {
  /** Sections with these numbers of segments, every other one partly a tone higher. */
  const sections = (lengths: readonly number[], share: number) => {
    const mixed = TUNE.map((x, i) => (1 - share) * x + share * (HIGHER[i] as number))
    let at = 0
    const segments = lengths.flatMap((length, k) =>
      Array.from({ length }, () => {
        const from = at
        at += 5
        return { from, to: at, classes: Float64Array.from(k % 2 === 0 ? TUNE : mixed) }
      }),
    )
    return sectionsOf(segments).length
  }
  t.same(
    [0.678, 0.685].map((share) => sections([8, 8], share)),
    [1, 2],
  )
  t.same(
    [0.743, 0.75].map((share) => sections([8, 6], share)),
    [1, 2],
  )
  t.same(
    [0.918, 0.925].map((share) => sections([8, 8, 8], share)),
    [1, 3],
  )
  t.end()
})
