import { Type } from 'typebox'

// Bounds of the results of our own assets, for the properties by which the catalogue searches and which the page shows.
// They hold for any sender. Other properties are not bounded.

const Share = Type.Number({ minimum: 0, maximum: 1 })
const Moment = Type.Number({ minimum: 0, maximum: 1e9 })
/** Beats per minute. The range is wider than that of the analysis. */
const Tempo = Type.Number({ minimum: 20, maximum: 400 })
const Level = Type.Union([Type.Number({ minimum: -200, maximum: 100 }), Type.Null()])
const Short = Type.String({ maxLength: 100 })
const ShortOrNone = Type.Union([Short, Type.Null()])
const MAX_SECTIONS = 10_000

function some(properties: Parameters<typeof Type.Object>[0]) {
  return Type.Partial(Type.Object(properties))
}

const Bpm = some({
  bpm: Type.Union([Tempo, Type.Null()]),
  confidence: Share,
  octaveConfidence: Share,
  steady: Type.Boolean(),
  firstBeatMs: Type.Union([Moment, Type.Null()]),
  tempoOverTime: Type.Array(some({ from: Moment, to: Moment, bpm: Tempo, confidence: Share }), {
    maxItems: MAX_SECTIONS,
  }),
  reason: Short,
})

const Key = some({
  tonic: Type.Union([Type.String({ pattern: '^[A-G][#b]?$' }), Type.Null()]),
  scale: Type.Union([Type.Literal('major'), Type.Literal('minor'), Type.Null()]),
  key: ShortOrNone,
  camelot: Type.Union([Type.String({ pattern: '^(?:[1-9]|1[0-2])[AB]$' }), Type.Null()]),
  openKey: Type.Union([Type.String({ pattern: '^(?:[1-9]|1[0-2])[dm]$' }), Type.Null()]),
  confidence: Share,
  tuningHz: Type.Union([Type.Number({ minimum: 200, maximum: 1000 }), Type.Null()]),
  keyOverTime: Type.Array(
    some({ from: Moment, to: Moment, key: Short, camelot: Short, confidence: Share }),
    { maxItems: MAX_SECTIONS },
  ),
  reason: Short,
})

const Loudness = some({
  integrated: Level,
  range: Level,
  momentaryMax: Level,
  shortTermMax: Level,
  truePeak: Level,
  samplePeak: Level,
})

/** Keywords for the schema of verdicts by asset: the schema of each asset's result. */
export const RESULTS = {
  allOf: [
    {
      type: 'object',
      properties: Object.fromEntries(
        Object.entries({ bpm: Bpm, key: Key, loudness: Loudness }).map(([asset, result]) => [
          asset,
          { type: 'object', properties: { result } },
        ]),
      ),
    },
  ],
} as const
