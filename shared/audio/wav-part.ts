import { BYTES_PER_SAMPLE, SAMPLE_RATE } from '../contracts/pcm-format.ts'

/** The size of the header of our WAV files, bytes. */
export const WAV_HEADER_BYTES = 44

/** A plain WAV file of 16-bit 44.1 kHz stereo; `pcm` is interleaved and below 4 GiB. */
export function wavPart(pcm: Int16Array): Uint8Array {
  const wav = Buffer.allocUnsafe(WAV_HEADER_BYTES + pcm.byteLength)
  wav.set(new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength), WAV_HEADER_BYTES)
  return withWavHeader(wav)
}

/** Writes the header into the first 44 bytes of `wav`, which already has the samples after it. */
export function withWavHeader(wav: Buffer): Buffer {
  const bytes = wav.length - WAV_HEADER_BYTES
  wav.write('RIFF', 0, 'latin1')
  wav.writeUInt32LE(WAV_HEADER_BYTES - 8 + bytes, 4)
  wav.write('WAVEfmt ', 8, 'latin1')
  wav.writeUInt32LE(16, 16)
  wav.writeUInt16LE(1, 20)
  wav.writeUInt16LE(2, 22)
  wav.writeUInt32LE(SAMPLE_RATE, 24)
  wav.writeUInt32LE(SAMPLE_RATE * BYTES_PER_SAMPLE, 28)
  wav.writeUInt16LE(BYTES_PER_SAMPLE, 32)
  wav.writeUInt16LE(16, 34)
  wav.write('data', 36, 'latin1')
  wav.writeUInt32LE(bytes, 40)
  return wav
}
