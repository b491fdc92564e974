import { encodeMp3 } from '#shared/audio/ffmpeg.ts'
import type { PcmSource } from '#shared/audio/pcm.ts'
import { samplesAsBytes } from '../aac/aac.ts'
import { FRAME_SAMPLES, frameStarts } from './frames.ts'
import { infoFrame } from './info-frame.ts'

/**
 * LAME's quality. On ordinary music 5 takes 10 core-milliseconds per second of audio, 3 (LAME's default) 13 and
 * 2 about 22; from 7 on there is no noise shaping. With 5, a track of twelve minutes fits one step, and an
 * ordinary track the target.
 */
const QUALITY = 5

/**
 * The whole track as an .mp3: CBR, joint stereo, with a frame in front that tells players the exact length.
 * @param bitrate bits per second
 * @throws Error when the encoder returns another number of frames than it must
 */
export async function mp3(
  pcm: PcmSource,
  bitrate: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const pieces: Buffer[] = []
  const input = samplesAsBytes(pcm, 0, pcm.samples, signal)
  for await (const piece of encodeMp3(input, bitrate, QUALITY, signal)) pieces.push(piece)
  const audio = Buffer.concat(pieces)
  const starts = frameStarts(audio)
  // One frame more than the samples fill, for the delays of encoder and decoder.
  const count = Math.ceil(pcm.samples / FRAME_SAMPLES) + 1
  if (starts.length !== count) {
    throw new Error(`ffmpeg made ${starts.length} MP3 frames of the track, not ${count}`)
  }
  return Buffer.concat([infoFrame(audio, starts, pcm.samples), audio])
}
