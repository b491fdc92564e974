import { FRAME_SAMPLES, frameBytes, kbpsOf } from './frames.ts'

/** Samples that LAME puts in front of the first one; a decoder adds 529 of its own, and knows it. */
const ENCODER_DELAY = 576
/** Bytes of the header and the side information of a stereo frame: the tag comes after them. */
const TAG_AT = 4 + 32
/** Frames, bytes, table of contents and quality are there. */
const FLAGS = 0xf
const TOC_ENTRIES = 100
/** Bytes of the frame that its own checksum covers. */
const CHECKED = 190

/**
 * The silent frame before an MP3's first, from which players take length, gaps and where to jump to: Xing's, called
 * `Info` at a constant bit rate, with LAME's extension. ffmpeg writes it only where it can go back.
 * Source: gabriel.mp3-tech.org/mp3infotag.html.
 * @param audio the frames, which begin at `starts`
 * @param samples length of the track
 * @throws RangeError when so many frames can't be a track of that length.
 */
export function infoFrame(
  audio: Buffer,
  starts: readonly number[],
  samples: number,
): Uint8Array {
  const padding = starts.length * FRAME_SAMPLES - ENCODER_DELAY - samples
  if (padding < 0 || padding > 0xfff) {
    throw new RangeError(`${starts.length} MP3 frames do not make up ${samples} samples`)
  }
  const header = audio.readUInt32BE(0)
  const kbps = kbpsOf(header)
  const frame = Buffer.alloc(frameBytes(kbps))
  const bytes = frame.length + audio.length
  // Like the first frame, but without padding and with nothing in it.
  frame.writeUInt32BE((header & ~PADDING & ~MODE_EXTENSION) >>> 0)
  let at = TAG_AT + frame.write('Info', TAG_AT, 'latin1')
  at = frame.writeUInt32BE(FLAGS, at)
  at = frame.writeUInt32BE(starts.length, at)
  at = frame.writeUInt32BE(bytes, at)
  for (let percent = 0; percent < TOC_ENTRIES; percent++) {
    const start = starts[Math.floor((starts.length * percent) / TOC_ENTRIES)] ?? 0
    at = frame.writeUInt8(Math.floor((256 * (frame.length + start)) / bytes), at)
  }
  at += QUALITY_BYTES
  // Players that know of gaps look for these letters; of libmp3lame there has been no other release since 2017.
  at += frame.write('LAME3.100', at, 'latin1')
  at = frame.writeUInt8(CONSTANT_BIT_RATE, at) + UNSAID_BYTES
  at = frame.writeUInt8(Math.min(255, kbps), at)
  at = frame.writeUIntBE(ENCODER_DELAY * 0x1000 + padding, at, 3) + PRESET_BYTES
  at = frame.writeUInt32BE(bytes, at)
  at = frame.writeUInt16BE(crc16(audio), at)
  frame.writeUInt16BE(crc16(frame.subarray(0, CHECKED)), at)
  return frame
}

const PADDING = 0x200
const MODE_EXTENSION = 0x30
const QUALITY_BYTES = 4
const CONSTANT_BIT_RATE = 1
/** Lowpass, peak, gains and flags. */
const UNSAID_BYTES = 10
/** Kind of source, gain and preset. */
const PRESET_BYTES = 4

/** CRC-16 as LAME has it: polynomial 0x8005, bits reversed, from 0. */
function crc16(bytes: Uint8Array): number {
  let crc = 0
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0)
  return crc
}

const CRC_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1
  return crc
})
