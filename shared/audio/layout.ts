/** A master whose samples lie bare in the file. */
export interface PcmLayout {
  readonly kind: 'pcm'
  readonly container: 'WAV' | 'RF64' | 'AIFF' | 'AIFF-C'
  readonly encoding: 'int' | 'float'
  /** Bits that one number takes in the file: 8, 16, 24, 32 (int), 32, 64 (float). */
  readonly bits: number
  /** 8-bit WAV counts from 0, everything else is signed. */
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

/** A master that has to be decoded. */
export interface FlacLayout {
  readonly kind: 'flac'
  readonly container: 'FLAC'
  readonly bits: number
  readonly rate: number
  readonly channels: number
  readonly mask: number
  /** First byte of the first audio frame. */
  readonly offset: number
  /** The 34 bytes of STREAMINFO: together with the frames they are a whole FLAC stream. */
  readonly streamInfo: Uint8Array
  /** As STREAMINFO says; 0 when the encoder did not know. */
  readonly samples: number
}

export type Layout = PcmLayout | FlacLayout

/** Whether later steps can read the master where it lies: 16-bit 44.1 kHz stereo PCM. */
export function isConformant(layout: Layout): layout is PcmLayout {
  return (
    layout.kind === 'pcm' &&
    layout.encoding === 'int' &&
    layout.bits === 16 &&
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
  const float = layout.kind === 'pcm' && layout.encoding === 'float' ? ' float' : ''
  const channels = layout.channels === 1 ? '1 channel' : `${layout.channels} channels`
  return `${layout.container} ${layout.bits}-bit${float} ${layout.rate} Hz ${channels}`
}
