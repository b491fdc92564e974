import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { WAV_HEADER_BYTES, wavPart } from '#shared/audio/wav-part.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { clubTrack, interleaved } from '../local/synth.ts'

/** Tempos of the tracks of a mix, BPM; each is played for about eight minutes. */
const TEMPOS = [118, 122, 126, 128, 132]
const TRACK_SECONDS = 480

/** Writes a WAV of club music, 16-bit 44.1 kHz stereo, with one tempo or as a mix of several. */
export async function writeClub(
  path: string,
  seconds: number,
  { isMix }: { isMix: boolean },
): Promise<void> {
  const samples = Math.round(seconds * SAMPLE_RATE)
  const clips = (isMix ? TEMPOS : [126]).map((bpm) =>
    interleaved(clubTrack({ bpm, sampleRate: SAMPLE_RATE })),
  )
  const file = createWriteStream(path)
  const write = async (bytes: Uint8Array) => {
    if (!file.write(bytes)) await once(file, 'drain')
  }
  await write(wavPart(new Int16Array(0)))
  for (let at = 0, track = 0; at < samples; track++) {
    const pcm = clips[track % clips.length] ?? new Int16Array(2)
    const end = Math.min(samples, at + TRACK_SECONDS * SAMPLE_RATE)
    while (at < end) {
      const count = Math.min(pcm.length / 2, end - at)
      await write(new Uint8Array(pcm.buffer, 0, 4 * count))
      at += count
    }
  }
  file.end()
  await once(file, 'close')
  await fillInSizes(path, 4 * samples)
}

async function fillInSizes(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'r+')
  const sizes = Buffer.alloc(4)
  sizes.writeUInt32LE(WAV_HEADER_BYTES - 8 + bytes)
  await file.write(sizes, 0, 4, 4)
  sizes.writeUInt32LE(bytes)
  await file.write(sizes, 0, 4, 40)
  await file.close()
}
