/**
 * What tracks were measured to take: docs/performance.md, Audio, of a track of 433 s. To be kept as current as that.
 * Requests are counted along the code (shared/assets/make/, services/stage/plan-run.ts) and come to 63 for that track, where
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
  // FLAC of 44.1 kHz stereo by the model of services/stage/resample/cost.ts, which is on the safe side.
  staging: { fixed: 0.25, perSecond: 0.0055 },
  stageOf: {
    ...{ bpm: 'analyze', key: 'analyze', loudness: 'analyze' },
    ...{ 'aac-128': 'encode', 'mp3-320': 'encode', 'mp3-128': 'encode', flac: 'encode' },
    ...{ preview: 'encode', waveform: 'encode' },
  },
  operations: {
    // Removing scratch lists it.
    fixedA: 1,
    fixedB: 3,
    perAssetB: 3,
    files: { waveform: 2 },
    // A block of 2²⁰ samples at 44.1 kHz, and a part in scratch.
    blockSeconds: 2 ** 20 / 44_100,
    partSeconds: 60,
  },
  // 11 messages of 9 kB in all, for a track that goes through both stages.
  messages: { fixed: 7, perStage: 2, bytesEach: 820 },
  bytes: {
    ...{ 'aac-128': { perSecond: 16_100 }, 'mp3-320': { perSecond: 40_000 } },
    'mp3-128': { perSecond: 16_000 },
    // 60 % of its samples: it depends on the music.
    flac: { perSecond: 106_000 },
    preview: { perSecond: 16_100, mostSeconds: 90 },
    waveform: { fixed: 20_000, perSecond: 900 },
    ...{ bpm: { fixed: 1000 }, key: { fixed: 1000 }, loudness: { fixed: 300 } },
  },
}

type ById<T> = Readonly<Record<string, T>>

interface Measured {
  /** What is made unless told otherwise. */
  readonly usual: readonly string[]
  readonly coreSeconds: {
    /** Length of the track that was measured. */
    readonly seconds: number
    /** A job of this one asset. */
    readonly alone: ById<number>
    /** One job of several. */
    readonly together: { readonly assets: readonly string[]; readonly took: number }
  }
  /** Core-seconds of converting a master into scratch: beside its length, and per second of it. */
  readonly staging: { readonly fixed: number; readonly perSecond: number }
  readonly stageOf: ById<'analyze' | 'encode'>
  /** Requests of Cloud Storage by class; each file that is made is one of class A more. */
  readonly operations: {
    readonly fixedA: number
    readonly fixedB: number
    /** Looks for it, before it is made. */
    readonly perAssetB: number
    /** Files of an asset, where it is not one. */
    readonly files: ById<number>
    readonly blockSeconds: number
    readonly partSeconds: number
  }
  /** Messages of a job of one step a stage, and their bytes. */
  readonly messages: {
    readonly fixed: number
    readonly perStage: number
    readonly bytesEach: number
  }
  /** Bytes of an asset: beside the track's length, and per second of it, up to so many. */
  readonly bytes: ById<{
    readonly fixed?: number
    readonly perSecond?: number
    readonly mostSeconds?: number
  }>
}
