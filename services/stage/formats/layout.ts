import type { Warning } from '#shared/contracts/messages/warning.ts'
import type { MpegFrame } from './mpeg/frame.ts'
import type { LengthTag } from './mpeg/tag.ts'

/** What every kind of layout has. */
interface Looked {
  /** What its header and its length show to be missing or wrong; absent: nothing. */
  readonly warnings?: readonly Warning[]
}

/** A master whose samples lie bare in the file: each can be found by its number. */
export interface PcmLayout extends Looked {
  readonly kind: 'pcm'
  readonly container: 'WAV' | 'RF64' | 'AIFF' | 'AIFF-C'
  /** `alaw` and `mulaw`: the logarithmic eight bits of ITU-T G.711. */
  readonly encoding: 'int' | 'float' | 'alaw' | 'mulaw'
  /** Bits that one number takes in the file: 8, 16, 24, 32 (int), 32, 64 (float), 8 (laws). */
  readonly bits: number
  /** Bits that are used of them, where it is the lower ones; absent: the upper ones are. */
  readonly lowBits?: number
  /** 8-bit WAV counts from 0; everything else is signed but for what is found to be not. */
  readonly unsigned: boolean
  readonly bigEndian: boolean
  /** Hz. */
  readonly rate: number
  readonly channels: number
  /** Which loudspeaker each channel feeds, as in WAVE_FORMAT_EXTENSIBLE; 0 where the master is silent about it. */
  readonly mask: number
  /** First byte of the samples. */
  readonly offset: number
  /** Length in samples (instants of all channels), ≥ 1. */
  readonly samples: number
}

/** A FLAC stream: it has to be decoded, but its frames stand for themselves and are numbered. */
export interface FlacLayout extends Looked {
  readonly kind: 'flac'
  readonly container: 'FLAC'
  readonly bits: number
  readonly rate: number
  readonly channels: number
  readonly mask: number
  /** First byte of the first audio frame, and one past the last byte of the last one. */
  readonly offset: number
  readonly end: number
  /** The 34 bytes of STREAMINFO: together with the frames they are a whole FLAC stream. */
  readonly streamInfo: Uint8Array
  /** As STREAMINFO says; 0 when the encoder did not know. */
  readonly samples: number
}

/** The bytes [start, end) of a master. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** A compressed master as its first bytes show it: what there is to decode, and with what. */
export interface Coded extends Looked {
  readonly kind: 'coded'
  readonly container: 'MP3' | 'MPEG' | 'AAC' | 'M4A' | 'FLAC' | 'Ogg' | 'WAV' | 'AIFF-C'
  /** For people, e.g. `Vorbis`. */
  readonly codec: string
  /** As ffmpeg calls them. */
  readonly demuxer: string
  readonly decoder: string
  /** What ffmpeg is fed with, in this order: bytes made up here, and ranges of the master. */
  readonly feed: readonly (Uint8Array | ByteRange)[]
  /** Of the feed only frames like this one, and whole ones, are music. */
  readonly sift?: MpegFrame
  /** Samples that come out before the music, and behind it. Below 0: silence that belongs before it. */
  readonly skip?: number
  readonly padding?: number
  /** How many samples there are at most behind those: where a list of edits ends the music. */
  readonly samples?: number
  /** How long it is, seconds, where the file says so and it is to be believed. */
  readonly seconds?: number
  /** How long it is, seconds, as a header says that may be true of a part of the file only, or of more than is there. */
  readonly promised?: number
  /** How much less than either of these is no loss, seconds; absent: it is not known that well. */
  readonly slack?: number
  /** Packets of an MP4 that are known to be empty. */
  readonly empty?: number
  /** Of MP4: whether the index shows that the end is missing, or that it is there. */
  readonly isCut?: boolean
  readonly isWhole?: boolean
  /** Of MP4 in fragments: where they begin, and how long what the index holds itself is. */
  readonly fragments?: {
    readonly start: number
    /** Units of time a second. */
    readonly scale: number
    readonly units: number
    readonly packetUnits: number
  }
  /** What is promised of the frames themselves. */
  readonly tag?: LengthTag
}

/** A compressed master that can only be decoded from its beginning. How long it is shows at the end. */
export interface CodedLayout extends Coded {
  readonly rate: number
  readonly channels: number
  readonly mask: number
}

export type Layout = PcmLayout | FlacLayout | CodedLayout

/** Whether later steps can read the master where it lies: 16-bit 44.1 kHz stereo PCM. */
export function isConformant(layout: Layout): layout is PcmLayout {
  return (
    layout.kind === 'pcm' &&
    layout.encoding === 'int' &&
    layout.bits === 16 &&
    !layout.unsigned &&
    layout.rate === 44_100 &&
    layout.channels === 2
  )
}

/** Bytes of one sample of all channels. */
export function frameBytes(layout: PcmLayout): number {
  return (layout.bits / 8) * layout.channels
}

/** For people, e.g. `WAV 24-bit 48000 Hz 2 channels`. */
export function describeLayout(layout: Layout): string {
  const channels = layout.channels === 1 ? '1 channel' : `${layout.channels} channels`
  return `${layout.container} ${numbers(layout)} ${layout.rate} Hz ${channels}`.replace(
    '  ',
    ' ',
  )
}

function numbers(layout: Layout): string {
  if (layout.kind === 'coded') return layout.codec === layout.container ? '' : layout.codec
  const encoding = layout.kind === 'flac' ? 'int' : layout.encoding
  return `${layout.bits}-bit${encoding === 'int' ? '' : ` ${encoding}`}`
}
