import type { EncodeTools } from '#shared/assets/definition.ts'
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
    async m4a(of, bitrate) {
      const range = { start: 0, end: of.samples }
      return aacJoin([await aacPackets(of, range, bitrate, signal)], of.samples)
    },
    mp3: (bitrate) => mp3(pcm, bitrate, signal),
    flac: () => flac(pcm, signal),
  }
}
