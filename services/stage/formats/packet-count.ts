import { PermanentError } from '#shared/contracts/errors/chain.ts'

/**
 * Maximum number of short packets. A packet costs a decoder 20 core-microseconds, however short it is. An hour
 * of music has fewer packets, or larger ones: Opus with packets of 5 ms has 720,000, of 20 bytes each at 32
 * kbit/s; Vorbis with short blocks only has as many.
 */
const MAX_PACKETS = 500_000
const MIN_BYTES = 20

/**
 * Refuses, before any decoding, a stream with too many tiny packets. It cannot be music, and a decoder would need
 * longer than a step for it.
 * @param what the name of the format in the error, for example `Ogg Opus`
 * @param bytes size of the file, bytes
 * @throws PermanentError MASTER_UNREADABLE
 */
export function checkPackets(what: string, packets: number, bytes: number): void {
  if (packets <= MAX_PACKETS || bytes >= MIN_BYTES * packets) return
  const each = (bytes / packets).toFixed(1)
  const words = `${what}: ${packets} packets of ${each} bytes each; no music is cut so small`
  throw new PermanentError('MASTER_UNREADABLE', words)
}
