import { framesAt, masterBehind } from '../behind.ts'
import { type ByteWindow, unreadable } from '../byte-window.ts'
import { masterAt } from '../looks-like.ts'

/**
 * The words that begin a frame of what receivers decode where they expect samples of 16 bits: DTS in words of 16 and
 * of 14 bits (ETSI TS 102 114), and anything in bursts of IEC 61937 (`Pa`, `Pb`), in both byte orders.
 */
const SYNCS: Readonly<Record<string, readonly string[]>> = {
  DTS: ['7ffe8001', 'fe7f0180', '1fffe800', 'ff1f00e8'],
  'sound for a receiver (IEC 61937: AC-3, DTS or the like)': ['f8724e1f', '72f81f4e'],
}
/** Bursts of AC-3 are 6,144 bytes apart, and frames of DTS on a CD 2,012 to 4,096: two of them are within this. */
const LOOK_BYTES = 16 << 10

/**
 * Refuses encoded sound in place of the samples that a header promises: read as samples it would be noise.
 * @throws PermanentError MASTER_UNREADABLE
 */
export async function refuseEncoded(
  window: ByteWindow,
  { offset, bytes }: { readonly offset: number; readonly bytes: number },
): Promise<void> {
  const fresh = window.again()
  const head = Buffer.from(await fresh.glance(offset, Math.min(LOOK_BYTES, bytes)))
  const [found] =
    Object.entries(SYNCS).find(([, syncs]) =>
      syncs.some((sync) => countOf(head, Buffer.from(sync, 'hex')) > 1),
    ) ?? []
  const other = found ?? (await masterAtOnce(fresh, offset, head))
  if (other !== undefined)
    throw unreadable(offset, `${other} in place of samples`, 'samples that are not encoded')
}

/** Another master that begins with the first sample, or behind a tag there. */
async function masterAtOnce(window: ByteWindow, offset: number, head: Buffer) {
  if (head.toString('latin1', 0, 3) !== 'ID3') return masterAt(head, 0) ?? framesAt(head, false)
  return (await masterBehind(window, offset))?.name
}

/** How often a sync word stands where a sample may begin. Once may be chance. */
function countOf(bytes: Buffer, sync: Buffer): number {
  let count = 0
  for (let at = bytes.indexOf(sync); at >= 0; at = bytes.indexOf(sync, at + 1))
    if (at % 2 === 0) count++
  return count
}
