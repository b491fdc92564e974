/** The header of a frame of MPEG audio or ADTS. */
export interface MpegFrame {
  /** MPEG audio of layer 1 to 3, or AAC in ADTS. */
  readonly kind: 1 | 2 | 3 | 'adts'
  /** Length of the frame including its header, bytes. */
  readonly bytes: number
  /** Sample rate in the header, Hz. */
  readonly rate: number
  /** Number of channels; 0 if only the stream itself says it (ADTS). */
  readonly channels: number
  /** Number of samples that the frame decodes to. */
  readonly samples: number
}

/** Number of bytes needed to determine the length of a frame. */
export const HEADER_BYTES = 6

/**
 * Maximum size of a frame, bytes. AAC has 13 bits for it; MPEG audio has less than that, even with 320 kbit/s
 * of layer II at 8 kHz.
 */
export const MAX_FRAME_BYTES = 8191

/**
 * The frame whose header is at `at`. Undefined when there is none, or when it has a free bit rate, because its
 * length then depends on where the next frame begins. Sources: ISO/IEC 11172-3 section 2.4.1.3, 13818-3;
 * ISO/IEC 13818-7 section 6.2 (ADTS).
 */
export function mpegFrame(bytes: Uint8Array, at: number): MpegFrame | undefined {
  if (bytes[at] !== 0xff || at + HEADER_BYTES > bytes.length) return undefined
  const [b = 0, c = 0, d = 0, e = 0, f = 0] = bytes.subarray(at + 1, at + HEADER_BYTES)
  if ((b & 0xe0) !== 0xe0) return undefined
  return (b & 0xf6) === 0xf0 ? adtsFrame(c, d, e, f) : layerFrame(b, c, d)
}

function adtsFrame(c: number, d: number, e: number, f: number): MpegFrame | undefined {
  const bytes = ((d & 3) << 11) | (e << 3) | (f >> 5)
  const rate = RATES_OF_ADTS[(c >> 2) & 15]
  if (rate === undefined || bytes <= 7) return undefined
  return { kind: 'adts', bytes, rate, channels: ((c & 1) << 2) | (d >> 6), samples: 1024 }
}

function layerFrame(b: number, c: number, d: number): MpegFrame | undefined {
  const version = (b >> 3) & 3
  const kind = LAYERS[(b >> 1) & 3]
  const top = RATES[(c >> 2) & 3]
  const isMpeg1 = version === 3
  if (version === 1 || kind === undefined || top === undefined) return undefined
  const kbits = (isMpeg1 ? KBITS_1 : KBITS_2)[kind][(c >> 4) - 1]
  if (kbits === undefined) return undefined
  const rate = top / (isMpeg1 ? 1 : version === 2 ? 2 : 4)
  const samples = kind === 1 ? 384 : kind === 3 && !isMpeg1 ? 576 : 1152
  const slot = kind === 1 ? 4 : 1
  const slots = Math.floor((samples * kbits * 125) / rate / slot) + ((c >> 1) & 1)
  return { kind, bytes: slots * slot, rate, channels: d >> 6 === 3 ? 1 : 2, samples }
}

/** Whether the frame of layer III at `at` needs data from frames before it. */
export function needsMore(
  bytes: Uint8Array,
  at: number,
  { kind, samples }: MpegFrame,
): boolean {
  if (kind !== 3) return false
  const isProtected = ((bytes[at + 1] ?? 0) & 1) === 0
  const side = at + (isProtected ? 6 : 4)
  return bytes[side] !== 0 || (samples === 1152 && (bytes[side + 1] ?? 0) >= 0x80)
}

/** Whether two frames may belong to one stream. The bit rate and the stereo mode may change within a stream. */
export function isAlike(a: MpegFrame, b: MpegFrame): boolean {
  return a.kind === b.kind && a.rate === b.rate && a.channels === b.channels
}

const LAYERS = [undefined, 3, 2, 1] as const
const RATES = [44_100, 48_000, 32_000]
const RATES_OF_ADTS = [
  ...[96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000],
  ...[22_050, 16_000, 12_000, 11_025, 8000, 7350],
]
/** Bit rates of each layer, kbit/s, from index 1: of MPEG 1, and of MPEG 2 and 2.5. */
const KBITS_1 = {
  1: [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
  2: [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
  3: [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
}
const LOW = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
const KBITS_2 = {
  1: [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
  2: LOW,
  3: LOW,
}
