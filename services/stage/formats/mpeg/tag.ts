import type { MpegFrame } from './frame.ts'

/**
 * What an encoder noted in a frame before the music. It applies to what that encoder wrote, not to files joined
 * to it.
 */
export interface LengthTag {
  /** Number of frames of music. */
  readonly frames?: number
  /** Number of bytes of the stream, this frame included. */
  readonly bytes?: number
  /** Number of samples that the encoder added before the music, and behind it. */
  readonly delay?: number
  readonly padding?: number
  /** The reflected CRC-16 (0xa001) of the bytes of music. */
  readonly crc?: number
}

/** Number of bytes of a frame that are needed to read its tag. */
export const TAG_BYTES = 200

/** Whether the frame at `at` holds a tag of Xing, LAME or Fraunhofer instead of music. */
export function isLengthTag(bytes: Uint8Array, at: number, frame: MpegFrame): boolean {
  if (frame.kind !== 3 || frame.bytes < TAG_BYTES >> 2) return false
  const name = nameAt(bytes, at + xingAt(frame))
  return name === XING || name === INFO || nameAt(bytes, at + VBRI_AT) === VBRI
}

/**
 * The tag in the frame at `at`; undefined for a frame of music. Sources: Gabriel Bouvier, Mp3 Info Tag rev 1
 * (gabriel.mp3-tech.org/mp3infotag.html); for VBRI, Fraunhofer's own description of its VBR header.
 */
export function lengthTag(bytes: Buffer, at: number, frame: MpegFrame): LengthTag | undefined {
  if (!isLengthTag(bytes, at, frame) || at + TAG_BYTES > bytes.length) return undefined
  if (nameAt(bytes, at + VBRI_AT) === VBRI) {
    return { bytes: bytes.readUInt32BE(at + 46), frames: bytes.readUInt32BE(at + 50) }
  }
  let next = at + xingAt(frame) + 8
  const flags = bytes.readUInt32BE(next - 4)
  const number = (flag: number, length: number) => {
    if ((flags & flag) === 0) return undefined
    next += length
    return bytes.readUInt32BE(next - length)
  }
  const frames = number(1, 4)
  const size = number(2, 4)
  number(4, 100)
  number(8, 4)
  const counted = {
    ...(frames === undefined ? {} : { frames }),
    ...(size === undefined ? {} : { bytes: size }),
  }
  const encoder = bytes.toString('latin1', next, next + 4)
  if (!/^(LAME|Lavf|Lavc)/.test(encoder) || next + 24 > bytes.length) return counted
  const both = bytes.readUIntBE(next + 21, 3)
  const crc = next + 34 <= at + frame.bytes ? bytes.readUInt16BE(next + 32) : 0
  const summed = crc === 0 ? {} : { crc }
  return { ...counted, delay: both >> 12, padding: both & 0xfff, ...summed }
}

/** Position of the tag in a frame: behind the side information of layer III. */
function xingAt({ samples, channels }: MpegFrame): number {
  return 4 + (samples === 1152 ? (channels === 1 ? 17 : 32) : channels === 1 ? 9 : 17)
}

const VBRI_AT = 36

function nameAt(bytes: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = bytes.subarray(at, at + 4)
  return (a << 24) | (b << 16) | (c << 8) | d
}

const XING = 0x58696e67
const INFO = 0x496e666f
const VBRI = 0x56425249
