import { PermanentError } from '#shared/contracts/errors/chain.ts'

/**
 * A packet costs a decoder 20 core-microseconds, however short it is. An hour of music has fewer than so many, or
 * larger ones: Opus of 5 ms has 720,000, of 20 bytes each at 32 kbit/s; Vorbis, in nothing but short blocks, as many.
 */
const MAX_PACKETS = 500_000
const MIN_BYTES = 20

/**
 * What would take a decoder longer than a step, and is no music, is not begun.
 * @param what for people, e.g. `Ogg Opus`
 * @param bytes of the file
 * @throws PermanentError MASTER_UNREADABLE
 */
export function checkPackets(what: string, packets: number, bytes: number): void {
  if (packets <= MAX_PACKETS || bytes >= MIN_BYTES * packets) return
  const each = (bytes / packets).toFixed(1)
  const words = `${what}: ${packets} packets of ${each} bytes each; no music is cut so small`
  throw new PermanentError('MASTER_UNREADABLE', words)
}
