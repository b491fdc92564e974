/** A metadata block of a FLAC file. */
interface FlacBlock {
  readonly type: number
  readonly body: Uint8Array
}

export const STREAMINFO = 0
export const VORBIS_COMMENT = 4

const MARKER = Buffer.from('fLaC', 'latin1')
const BLOCK_HEADER_BYTES = 4

/**
 * The metadata blocks at the beginning of a FLAC file, and where its frames begin. Source: RFC 9639, 8.
 * @param first The first bytes of the file.
 * @returns undefined if it is no FLAC file; `needs`: the number of bytes that are needed to decide.
 */
export function flacBlocks(
  first: Buffer,
):
  | { readonly blocks: readonly FlacBlock[]; readonly end: number }
  | { readonly needs: number }
  | undefined {
  if (!first.subarray(0, MARKER.length).equals(MARKER)) return undefined
  const blocks: FlacBlock[] = []
  for (let at = MARKER.length; ; ) {
    const bodyAt = at + BLOCK_HEADER_BYTES
    if (bodyAt > first.length) return { needs: bodyAt }
    const type = first.readUInt8(at)
    const end = bodyAt + first.readUIntBE(at + 1, 3)
    if (end > first.length) return { needs: end }
    blocks.push({ type: type & ~LAST, body: first.subarray(bodyAt, end) })
    if (type & LAST) return { blocks, end }
    at = end
  }
}

/** The beginning of a FLAC file: the marker and these blocks. */
export function flacHead(blocks: readonly FlacBlock[]): Buffer {
  const written = blocks.map(({ type, body }, index) => {
    const header = Buffer.alloc(BLOCK_HEADER_BYTES)
    header.writeUInt8(index === blocks.length - 1 ? type | LAST : type, 0)
    header.writeUIntBE(body.length, 1, 3)
    return Buffer.concat([header, body])
  })
  return Buffer.concat([MARKER, ...written])
}

/** The block of the comments `NAME=text`. Source: RFC 9639, 8.6. */
export function commentBlock(comments: readonly string[]): FlacBlock {
  const lines = ['Trackchain', ...comments].map((text) => {
    const bytes = Buffer.from(text)
    return Buffer.concat([u32(bytes.length), bytes])
  })
  const [vendor = Buffer.alloc(0), ...rest] = lines
  return { type: VORBIS_COMMENT, body: Buffer.concat([vendor, u32(rest.length), ...rest]) }
}

const LAST = 0x80

/** A 32-bit number, little-endian as in Vorbis comments. */
function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32LE(value)
  return buffer
}
