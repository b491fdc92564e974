import type { ByteWindow } from './byte-window.ts'

/**
 * The first byte behind an ID3v2 tag at the beginning of a file, and behind the zeros that some writers put there;
 * 0 when there is no tag. Source: id3.org, ID3 tag version 2.4.0, section 3.
 */
export async function afterId3(window: ByteWindow): Promise<number> {
  const head = await window.glance(0, 10)
  if (head.length < 10 || Buffer.from(head.subarray(0, 3)).toString('latin1') !== 'ID3')
    return 0
  const size = head.subarray(6, 10).reduce((sum, byte) => sum * 128 + (byte & 0x7f), 0)
  const hasFooter = ((head[5] ?? 0) & 0x10) !== 0
  const end = 10 + size + (hasFooter ? 10 : 0)
  const behind = await window.glance(end, MOST_ZEROS)
  const zeros = behind.findIndex((byte) => byte !== 0)
  return end + Math.max(0, zeros)
}

const MOST_ZEROS = 4096
