import type { EncodeTools } from '#shared/assets/definition.ts'
import { excerpt } from '#shared/audio/excerpt.ts'
import type { PcmSource } from '#shared/audio/pcm.ts'
import { aacJoin, aacPackets } from './aac/aac.ts'
import { flac } from './flac/flac.ts'
import { mp3 } from './mp3/mp3.ts'

/** The tools that the encode step offers to derivative assets. */
export function encodeTools(pcm: PcmSource, signal: AbortSignal): EncodeTools {
  return {
    pcm,
    signal,
    aacPackets: (range, bitrate) => aacPackets(pcm, range, bitrate, signal),
    aacJoin,
    excerpt: (range, fades) => excerpt(pcm, range, fades),
    async m4a(of, bitrate) {
      const range = { start: 0, end: of.samples }
      return aacJoin([await aacPackets(of, range, bitrate, signal)], of.samples)
    },
    mp3: (of, bitrate) => mp3(of, bitrate, signal),
    flac: (of) => flac(of, signal),
  }
}
