import type { PcmSource } from '../audio/pcm.ts'

/** Bytes that are put together only while they are written, for files of which there may be gigabytes. */
export interface Streamed {
  /** Of all of it. */
  readonly byteLength: number
  /** From its beginning, each time that it is asked for. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array>
}

/** Of a document that the catalogue keeps beside the row. */
export const MAX_RESULT_BYTES = 64 << 10

/** What `render` gives: for each of the definition's extensions the bytes of that file. */
export type Rendered<Extension extends string = string> = Readonly<
  Record<Extension, Uint8Array | Streamed>
>

/** The parts of an asset, in order, from the first each time that they are gone through: one is in memory at a time. */
export type Parts = Iterable<Uint8Array> | AsyncIterable<Uint8Array>

/** A unit of work: one asset over the samples [start, end) of a track. */
export interface Range {
  /** First sample, from 0. */
  readonly start: number
  /** One past the last sample. */
  readonly end: number
}

/** What a step lends a derivative asset. Heavy tools come this way, so that definitions stay light. */
export interface Tools {
  readonly pcm: PcmSource
  /** Aborts at the step's hard limit or at shutdown. Obey it wherever 100 ms may pass. */
  readonly signal: AbortSignal
}

/** A tempo as `bpm` reports it. */
export interface TempoEstimate {
  /** Beats per minute, to 0.01 at most and no further than `bpmError` allows; null without a tempo to speak of. */
  readonly bpm: number | null
  /** What `bpm` may be off by for want of length, beats per minute: 95 of 100 are not. Absent without a tempo. */
  readonly bpmError?: number
  /** 0 to 1: the probability that `bpm` is right, be it by its half or its double. */
  readonly confidence: number
  /** 0 to 1: the probability that, if so, it is not the half or the double. */
  readonly octaveConfidence: number
  /** Whether the whole track has this tempo. If not, `bpm` is that of its longest section. */
  readonly steady: boolean
  /** When the first beat sets in, from the start of the track; null without a steady tempo. */
  readonly firstBeatMs: number | null
  /** The tempo over time, merged where it stays the same; empty without a tempo. */
  readonly tempoOverTime: readonly TempoSection[]
  /** Why `bpm` is null: `silence`, `too short`, `not finite`, `no steady beat`. */
  readonly reason?: string
  /** What was listened to, seconds. */
  readonly windows: readonly { readonly from: number; readonly to: number }[]
}

/** A stretch of constant tempo; between two of them, somewhere, the tempo changes. */
export interface TempoSection {
  /** Seconds. */
  readonly from: number
  readonly to: number
  readonly bpm: number
  /** 0 to 1, as of the track. */
  readonly confidence: number
}

/** A key as `key` reports it. */
export interface KeyEstimate {
  /** `C`, `C#`, … `B` as `Eb`, `Bb` where that is usual; null when there is no key to speak of. */
  readonly tonic: string | null
  readonly scale: 'major' | 'minor' | null
  /** e.g. `A minor`; null without a key. */
  readonly key: string | null
  /** e.g. `8A`. */
  readonly camelot: string | null
  /** e.g. `1m`. */
  readonly openKey: string | null
  /** The probability that it is exactly right, 0 to 1. */
  readonly confidence: number
  /** What A4 is tuned to, Hz, 427.5 to 452.9; null without a key. */
  readonly tuningHz: number | null
  /** The key by sections, in order; what lies between two of them has no key, or was not listened to. */
  readonly keyOverTime: readonly KeySection[]
  /** Why there is none: `silence`, `too short`, `not finite`, `no tones` (noise, drums, speech), `no key`. */
  readonly reason?: string
}

/** A stretch of a track in one key. */
export interface KeySection {
  /** Seconds from the start of the track. */
  readonly from: number
  readonly to: number
  readonly key: string
  readonly camelot: string
  readonly confidence: number
}

export interface AnalyzeTools extends Tools {
  /** Estimates tempo off the main thread. */
  tempo(): Promise<TempoEstimate>
  /** Estimates the key off the main thread. */
  key(): Promise<KeyEstimate>
}

/**
 * Samples of a cell of AAC, 119 s: each is encoded by itself, so this belongs to the bytes of every AAC asset, and
 * their grid is this or a multiple.
 */
export const AAC_GRID = 5_120 * 1024

export interface EncodeTools extends Tools {
  /**
   * The AAC-LC packets of a range, as ADTS without anything before or after: packet k covers the
   * samples [1024 (k − 1), 1024 k), so that a track of n samples has ceil(n / 1024) + 1 packets.
   * `range.start` is a multiple of AAC_GRID; the range that ends with the track brings the last packets too.
   */
  aacPackets(range: Range, bitrate: number): Promise<Uint8Array>
  /** Joins the packets of consecutive ranges into one .m4a, moov first, exactly `samples` long. */
  aacJoin(parts: Parts, samples: number): Promise<Streamed>
  /** An .m4a (AAC-LC) of other samples than the track's, e.g. of an excerpt. All at once: mind the cost. */
  m4a(of: PcmSource, bitrate: number): Promise<Streamed>
  /** An .mp3 of the whole track: CBR, joint stereo, its exact length in a LAME tag. */
  mp3(bitrate: number): Promise<Uint8Array>
  /** A .flac of the whole track, with its length and the MD5 of its samples in the header. */
  flac(): Promise<Uint8Array>
}

export interface Cost {
  /** Core-milliseconds before the first sample. */
  readonly fixedMs: number
  /** Core-milliseconds per second of audio. */
  readonly msPerSecond: number
  /** Core-milliseconds at most, for what listens to a bounded number of windows. */
  readonly mostMs?: number
}

interface Named<Extension extends string> {
  /** What a job asks for. With the version it names the object, so no pair may ever mean other bytes. */
  readonly id: string
  /** An integer from 1. Raise it, and this asset alone is made anew. */
  readonly version: number
  /** One line for GET /v1/derivatives. */
  readonly title: string
  /** The files an asset consists of: extension to content type. The first is the one that is served by default. */
  readonly files: Readonly<Record<Extension, string>>
  /**
   * The first file is a JSON document of at most MAX_RESULT_BYTES that the catalogue keeps beside the row,
   * so that it can be searched and shown without reading the store.
   */
  readonly result?: boolean
  /** What it costs on one full core: the plan is made from it. */
  readonly cost: Cost
}

interface Whole<Extension extends string, T extends Tools> {
  /** Makes the asset of the whole track in one step. The bytes may depend on the samples alone. */
  render(tools: T): Promise<Rendered<Extension>>
}

interface Split<Extension extends string, T extends Tools> {
  /**
   * Parts begin at multiples of this many samples. The bytes of the asset may not depend on how many
   * grid cells a part holds: the plan chooses that by the speed of the site.
   */
  readonly grid: number
  /** Makes one part. */
  part(range: Range, tools: T): Promise<Uint8Array>
  /** Joins all parts, in order. A track that fits one step is joined from its only part. */
  join(parts: Parts, tools: T): Promise<Rendered<Extension>>
}

type Shape<E extends string, T extends Tools> = Whole<E, T> | Split<E, T>

export type AnalyzeDerivative<E extends string = string> = Named<E> & {
  readonly stage: 'analyze'
} & Shape<E, AnalyzeTools>

export type EncodeDerivative<E extends string = string> = Named<E> & {
  readonly stage: 'encode'
} & Shape<E, EncodeTools>

export type Derivative<E extends string = string> = AnalyzeDerivative<E> | EncodeDerivative<E>

/** The identity function, for inference and for the compiler's opinion of a definition. */
export function defineDerivative<const E extends string>(
  derivative: Derivative<E>,
): Derivative<E> {
  return derivative
}
