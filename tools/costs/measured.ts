/**
 * The measured resources of a track of 433 s: docs/reference/performance.md, Audio. Keep both in step.
 * Requests are counted from the code (shared/assets/make/, services/stage/plan-run.ts) and come to 63 for that track, where
 * 60 calls of a store were measured; tools/bench/requests.bench.ts counts them by class.
 */
export const MEASURED: Measured = {
  usual: ['bpm', 'key', 'waveform', 'loudness', 'aac-128'],
  coreSeconds: {
    seconds: 433,
    alone: {
      'aac-128': 8.8,
      'mp3-320': 6.1,
      'mp3-128': 5.6,
      flac: 3.2,
      preview: 2.7,
      bpm: 1.6,
      key: 1.3,
      loudness: 1,
      waveform: 0.8,
    },
    together: { assets: ['bpm', 'key', 'waveform', 'loudness', 'aac-128'], took: 11 },
  },
  // FLAC of 44.1 kHz stereo by the model of services/stage/resample/cost.ts, which overestimates.
  staging: { fixed: 0.25, perSecond: 0.0055 },
  operations: {
    // Scratch is listed when it is removed.
    fixedA: 1,
    fixedB: 3,
    perAssetB: 3,
    // A block of 2²⁰ samples at 44.1 kHz, and a part in scratch.
    blockSeconds: 2 ** 20 / 44_100,
    partSeconds: 60,
  },
  // 11 messages of 9 kB in all, for a track that goes through both stages.
  messages: { fixed: 7, perStage: 2, bytesEach: 820 },
  bytes: {
    'aac-128': { perSecond: 16_100 },
    'mp3-320': { perSecond: 40_000 },
    'mp3-128': { perSecond: 16_000 },
    // 60 % of its samples: it depends on the music.
    flac: { perSecond: 106_000 },
    preview: { perSecond: 16_100, mostSeconds: 90 },
    waveform: { fixed: 20_000, perSecond: 900 },
    bpm: { fixed: 1000 },
    key: { fixed: 1000 },
    loudness: { fixed: 300 },
  },
}

type ById<T> = Readonly<Record<string, T>>

interface Measured {
  /** The assets of a forecast by default. */
  readonly usual: readonly string[]
  readonly coreSeconds: {
    /** Length of the track that was measured, s. */
    readonly seconds: number
    /** Core-seconds of a job of this one asset. */
    readonly alone: ById<number>
    /** Core-seconds of one job of several assets. */
    readonly together: { readonly assets: readonly string[]; readonly took: number }
  }
  /** Core-seconds of converting a master into scratch: a fixed part, and a part per second of its length. */
  readonly staging: { readonly fixed: number; readonly perSecond: number }
  /** Cloud Storage requests by class. Each file that is made adds one of class A. */
  readonly operations: {
    readonly fixedA: number
    readonly fixedB: number
    /** The check whether the asset exists, before it is made. */
    readonly perAssetB: number
    readonly blockSeconds: number
    readonly partSeconds: number
  }
  /** Messages of a job with one step per stage, and their bytes. */
  readonly messages: {
    readonly fixed: number
    readonly perStage: number
    readonly bytesEach: number
  }
  /** Bytes of an asset: a fixed part, and a part per second of the track, of `mostSeconds` at most. */
  readonly bytes: ById<{
    readonly fixed?: number
    readonly perSecond?: number
    readonly mostSeconds?: number
  }>
}
