/** An AAC packet within a stream of ADTS frames. Positions are bytes in the stream. */
interface Packet {
  /** Position of the ADTS header. */
  readonly header: number
  /** Position of the packet behind the header. */
  readonly start: number
  /** Position behind the last byte of the packet. */
  readonly end: number
}

/** Number of samples in a packet. */
export const PACKET_SAMPLES = 1024

/**
 * The packets of an ADTS stream that consists of whole frames. Source: ISO/IEC 14496-3, 1.A.2.2 (adts_frame).
 * @throws Error that names the byte at which the stream is not ADTS
 */
export function* packets(adts: Uint8Array): Generator<Packet> {
  for (let at = 0; at < adts.length; ) {
    const byte = (i: number) => adts[at + i] ?? 0
    if (byte(0) !== 0xff || (byte(1) & 0xf6) !== 0xf0) {
      throw new Error(`no ADTS frame at byte ${at} of ${adts.length}`)
    }
    const headerBytes = (byte(1) & 1) === 1 ? 7 : 9
    const frameBytes = ((byte(3) & 3) << 11) | (byte(4) << 3) | (byte(5) >> 5)
    if (frameBytes <= headerBytes || at + frameBytes > adts.length) {
      throw new Error(
        `the ADTS frame at byte ${at} claims ${frameBytes} bytes of ${adts.length - at}`,
      )
    }
    if ((byte(6) & 3) !== 0) throw new Error(`several packets in the ADTS frame at byte ${at}`)
    yield { header: at, start: at + headerBytes, end: at + frameBytes }
    at += frameBytes
  }
}

/** The window sequence of a packet's transform: long, start (long to short), short, stop (short to long). */
export type WindowSequence = 'long' | 'start' | 'short' | 'stop'

const SEQUENCES = ['long', 'start', 'short', 'stop'] as const

const MAY_FOLLOW: Record<WindowSequence, readonly WindowSequence[]> = {
  long: ['long', 'start'],
  start: ['short'],
  short: ['short', 'stop'],
  stop: ['long', 'start'],
}

/** Whether the overlap of two packets in a row adds up (ISO/IEC 14496-3, 4.6.11.3.2). */
export function mayFollow(before: WindowSequence, after: WindowSequence): boolean {
  return MAY_FOLLOW[before].includes(after)
}

/**
 * The window sequence of a stereo packet's first channel, which applies to both channels unless each has its
 * own. Undefined when the packet does not begin with a channel pair element.
 */
export function windowSequence(adts: Uint8Array, packet: Packet): WindowSequence | undefined {
  const at = packet.start
  const bits = ((adts[at] ?? 0) << 16) | ((adts[at + 1] ?? 0) << 8) | (adts[at + 2] ?? 0)
  const CHANNEL_PAIR = 1
  if (bits >> 21 !== CHANNEL_PAIR) return undefined
  // id 3, tag 4, common_window 1; without a common window the channel's global_gain 8 comes first; reserved 1.
  const common = (bits >> 16) & 1
  return SEQUENCES[(common ? bits >> 13 : bits >> 5) & 3]
}
