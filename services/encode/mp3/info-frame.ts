import { FRAME_SAMPLES, frameBytes, kbpsOf } from './frames.ts'

/** Number of samples that LAME inserts before the first one. A decoder adds 529 of its own, and knows that. */
const ENCODER_DELAY = 576
/** Position of the tag: behind the header and the side information of a stereo frame. */
const TAG_AT = 4 + 32
/** The flags for a tag with frames, bytes, table of contents and quality. */
const FLAGS = 0xf
const TOC_ENTRIES = 100
/** Number of bytes of the frame that its own checksum covers. */
const CHECKED = 190

/**
 * The silent frame before an MP3's first frame, from which players take the length, the gaps and seek
 * positions: Xing's tag, called `Info` at a constant bit rate, with LAME's extension. ffmpeg cannot write it to
 * a pipe. Source: gabriel.mp3-tech.org/mp3infotag.html.
 * @param audio the frames, which begin at `starts`
 * @param samples length of the track, samples
 * @throws RangeError when the number of frames does not fit the length
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
  // Like the header of the first frame, but without padding; the frame is silent.
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
  // Players that support gapless playback look for these letters. libmp3lame has had no other release since
  // 2017.
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
/** Size of the fields that stay 0: lowpass, peak, gains and flags. */
const UNSAID_BYTES = 10
/** Size of the fields for the kind of source, gain and preset. */
const PRESET_BYTES = 4

/** LAME's CRC-16: polynomial 0x8005, reflected, initial value 0. */
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
