import type { Fades } from '../audio/excerpt.ts'
import type { PcmSource } from '../audio/pcm.ts'

/** Bytes that are produced only while they are written, for files that may be gigabytes long. */
export interface Streamed {
  /** The total number of bytes. */
  readonly byteLength: number
  /** Iterates over the bytes from the beginning, on each call. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array>
}

/** The maximum size of a result, which the catalogue keeps beside the row, bytes. */
export const MAX_RESULT_BYTES = 64 << 10

/** What `render` returns: for each extension of the definition, the bytes of that file. */
export type Rendered<Extension extends string = string> = Readonly<
  Record<Extension, Uint8Array | Streamed>
>

/** The parts of an asset, in order. Each iteration begins at the first part; one part is in memory at a time. */
export type Parts = Iterable<Uint8Array> | AsyncIterable<Uint8Array>

/** The samples [start, end) of a track. */
export interface Range {
  /** The first sample, from 0. */
  readonly start: number
  /** One past the last sample. */
  readonly end: number
}

/** The tools that a step gives to a derivative asset. Heavy tools come this way, so that definitions stay light. */
export interface Tools {
  readonly pcm: PcmSource
  /** Aborts at the step's hard limit or at shutdown. Check it at least every 100 ms. */
  readonly signal: AbortSignal
}

/** A tempo as `bpm` reports it. */
export interface TempoEstimate {
  /** Beats per minute, rounded to 0.01 or more coarsely, as `bpmError` allows; null if there is no clear tempo. */
  readonly bpm: number | null
  /** The error of `bpm` due to the limited length, beats per minute, in 95 of 100 cases. Absent without a tempo. */
  readonly bpmError?: number
  /** 0 to 1: the probability that `bpm`, its half or its double is right. */
  readonly confidence: number
  /** 0 to 1: the probability that, if so, `bpm` itself is right and not its half or its double. */
  readonly octaveConfidence: number
  /** Whether the whole track has this tempo. If not, `bpm` is that of its longest section. */
  readonly steady: boolean
  /** The first beat, ms from the start of the track; null without a steady tempo. */
  readonly firstBeatMs: number | null
  /** The tempo over time, merged where it stays the same; empty without a tempo. */
  readonly tempoOverTime: readonly TempoSection[]
  /** Why `bpm` is null: `silence`, `too short`, `not finite`, `no steady beat`. */
  readonly reason?: string
  /** The sections that were analyzed, seconds. */
  readonly windows: readonly { readonly from: number; readonly to: number }[]
}

/** A section of constant tempo. Somewhere between two sections the tempo changes. */
export interface TempoSection {
  /** Seconds from the start of the track. */
  readonly from: number
  readonly to: number
  readonly bpm: number
  /** 0 to 1, as the track's `confidence`. */
  readonly confidence: number
}

/** A key as `key` reports it. */
export interface KeyEstimate {
  /** `C`, `C#`, … `B`, with `Eb`, `Bb` where that is usual; null if there is no clear key. */
  readonly tonic: string | null
  readonly scale: 'major' | 'minor' | null
  /** e.g. `A minor`; null without a key. */
  readonly key: string | null
  /** e.g. `8A`. */
  readonly camelot: string | null
  /** e.g. `1m`. */
  readonly openKey: string | null
  /** 0 to 1: the probability that the key is exactly right. */
  readonly confidence: number
  /** The frequency of A4, Hz, 427.5 to 452.9; null without a key. */
  readonly tuningHz: number | null
  /** The key by sections, in order. What lies between two sections has no key, or was not analyzed. */
  readonly keyOverTime: readonly KeySection[]
  /** Why there is no key: `silence`, `too short`, `not finite`, `no tones` (noise, drums, speech), `no key`. */
  readonly reason?: string
}

/** A section of a track in one key. */
export interface KeySection {
  /** Seconds from the start of the track. */
  readonly from: number
  readonly to: number
  readonly key: string
  readonly camelot: string
  readonly confidence: number
}

/** The tools for assets of the stage `analyze`. */
export interface AnalyzeTools extends Tools {
  /** Estimates tempo off the main thread. */
  tempo(): Promise<TempoEstimate>
  /** Estimates the key off the main thread. */
  key(): Promise<KeyEstimate>
}

/**
 * The number of samples in a cell of AAC, 119 s. Each cell is encoded by itself, so this number is part of what defines
 * the bytes of every AAC asset. The grid of such an asset is this number or a multiple of it.
 */
export const AAC_GRID = 5_120 * 1024

/** The tools for assets of the stage `encode`. Bitrates are in bits per second. */
export interface EncodeTools extends Tools {
  /**
   * The AAC-LC packets of a range, as ADTS with nothing before or after them. Packet k covers the samples
   * [1024 (k − 1), 1024 k), so a track of n samples has ceil(n / 1024) + 1 packets. `range.start` must be a multiple
   * of AAC_GRID. The range that ends with the track includes the last packets.
   */
  aacPackets(range: Range, bitrate: number): Promise<Uint8Array>
  /** Joins the packets of consecutive ranges into one .m4a, moov first, exactly `samples` long. */
  aacJoin(parts: Parts, samples: number): Promise<Streamed>
  /** The samples of a range as a track of its own, faded where it cuts. @throws RangeError when the track lacks some */
  excerpt(range: Range, fades?: Fades): PcmSource
  /** An .m4a (AAC-LC) of the track, `pcm`, or of an excerpt. It is encoded in one go: mind the cost. */
  m4a(of: PcmSource, bitrate: number): Promise<Streamed>
  /** An .mp3 of the track, `pcm`, or of an excerpt: CBR, joint stereo, its exact length in a LAME tag. */
  mp3(of: PcmSource, bitrate: number): Promise<Uint8Array>
  /** A .flac of the track, `pcm`, or of an excerpt, with its length and the MD5 of its samples in the header. */
  flac(of: PcmSource): Promise<Uint8Array>
}

/** What an asset costs on one full core. */
export interface Cost {
  /** Core-milliseconds before the first sample. */
  readonly fixedMs: number
  /** Core-milliseconds per second of audio. */
  readonly msPerSecond: number
  /** The maximum cost, core-milliseconds, for assets that analyze a bounded number of windows. Default: none. */
  readonly mostMs?: number
  /** The size of all files together: a fixed part, bytes. Only forecasts use it. Default: 1,000. */
  readonly fixedBytes?: number
  /** And a part per second of audio, bytes. Default: 0. */
  readonly bytesPerSecond?: number
}

interface Named<Extension extends string> {
  /** The id by which jobs request the asset. Id and version name the object, so a pair must never mean other bytes. */
  readonly id: string
  /** An integer from 1. If it is raised, this asset alone is made anew. */
  readonly version: number
  /** A title of one line for GET /v1/derivatives. */
  readonly title: string
  /** The files of the asset: extension to content type. The first one is served by default. */
  readonly files: Readonly<Record<Extension, string>>
  /**
   * Whether the first file is a result: a JSON document of at most 64 KiB that the catalogue keeps beside the row, so
   * that it can be searched and shown without reading the store. Default: false.
   */
  readonly result?: boolean
  /** What it costs on one full core. Plans are made from it. */
  readonly cost: Cost
}

interface Whole<Extension extends string, T extends Tools> {
  /** Makes the asset of the whole track in one step. The bytes must depend on the samples alone. */
  render(tools: T): Promise<Rendered<Extension>>
}

interface Split<Extension extends string, T extends Tools> {
  /**
   * Parts begin at multiples of this many samples, from 1. The bytes of the asset must not depend on the number of grid
   * cells in a part, because the plan chooses it by the speed of the site.
   */
  readonly grid: number
  /** Makes one part. */
  part(range: Range, tools: T): Promise<Uint8Array>
  /** Joins all parts, in order. A track that fits into one step is joined from its only part. */
  join(parts: Parts, tools: T): Promise<Rendered<Extension>>
}

type Shape<E extends string, T extends Tools> = Whole<E, T> | Split<E, T>

/** A derivative asset that the stage `analyze` makes. */
export type AnalyzeDerivative<E extends string = string> = Named<E> & {
  readonly stage: 'analyze'
} & Shape<E, AnalyzeTools>

/** A derivative asset that the stage `encode` makes. */
export type EncodeDerivative<E extends string = string> = Named<E> & {
  readonly stage: 'encode'
} & Shape<E, EncodeTools>

/** The definition of a derivative asset. */
export type Derivative<E extends string = string> = AnalyzeDerivative<E> | EncodeDerivative<E>

/** Returns the definition unchanged, so that the compiler infers its type and checks it. */
export function defineDerivative<const E extends string>(
  derivative: Derivative<E>,
): Derivative<E> {
  return derivative
}
