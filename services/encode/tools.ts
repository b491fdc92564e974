import type { PcmSource } from '#shared/audio/pcm.ts'
import type { EncodeTools } from '#shared/derivative.ts'
import { aacJoin, aacPackets } from './aac.ts'

/** What the encode step lends its derivative assets. */
export function encodeTools(pcm: PcmSource, signal: AbortSignal): EncodeTools {
  return {
    pcm,
    signal,
    aacPackets: (range, bitrate) => aacPackets(pcm, range, bitrate, signal),
    aacJoin: async (parts, samples) => aacJoin(parts, samples),
  }
}
