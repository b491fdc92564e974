/** Number of samples in a frame. */
export const FRAME_SAMPLES = 1152

/** Bit rates of MPEG 1, layer III, kb/s, by the four bits in a header. */
const BITRATES = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]

/**
 * The positions of the frames of an MPEG 1 layer III stream at 44.1 kHz without checksums, which has to consist
 * of frames up to its end. Source: ISO/IEC 11172-3, 2.4.1.3 and 2.4.2.3 (header).
 * @throws Error that names the byte at which the stream has no such frame
 */
export function frameStarts(mp3: Buffer): readonly number[] {
  const starts: number[] = []
  for (let at = 0; at < mp3.length; ) {
    const header = at + 4 <= mp3.length ? mp3.readUInt32BE(at) : 0
    const kbps = kbpsOf(header)
    // Sync, MPEG 1, layer III, no checksum; 44.1 kHz.
    if (header >>> 16 !== 0xfffb || ((header >>> 10) & 3) !== 0 || kbps === 0) {
      throw new Error(`no MP3 frame at byte ${at} of ${mp3.length}`)
    }
    starts.push(at)
    at += frameBytes(kbps) + ((header >>> 9) & 1)
    if (at > mp3.length) throw new Error(`the last MP3 frame is ${at - mp3.length} bytes short`)
  }
  return starts
}

/** The bit rate in the 32 bits of a frame's header, kb/s; 0 if the header has none. */
export function kbpsOf(header: number): number {
  return BITRATES[(header >>> 12) & 15] ?? 0
}

/** Size of a frame without padding, bytes. */
export function frameBytes(kbps: number): number {
  return Math.floor((144_000 * kbps) / 44_100)
}
