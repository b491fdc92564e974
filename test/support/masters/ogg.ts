/** The pages of a sound Ogg file, one behind the other. */
export function pagesOf(file: Buffer): Buffer[] {
  const pages: Buffer[] = []
  for (let at = 0; at < file.length; ) {
    const lacing = file.subarray(at + 27, at + 27 + file.readUInt8(at + 26))
    const bytes = lacing.reduce((sum, each) => sum + each, 27 + lacing.length)
    pages.push(file.subarray(at, at + bytes))
    at += bytes
  }
  return pages
}

/** Pages whose numbers rise one by one, and whose checksums are right. */
export function renumbered(pages: readonly Buffer[]): Buffer[] {
  return pages.map((page, number) => {
    const copy = Buffer.from(page)
    copy.writeUInt32LE(number, 18)
    return withChecksum(copy)
  })
}

/** The same page with its checksum. Source: RFC 3533, section 6. */
export function withChecksum(page: Buffer): Buffer {
  const copy = Buffer.from(page)
  copy.writeUInt32LE(0, 22)
  let crc = 0
  for (const byte of copy) {
    crc ^= byte << 24
    for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc < 0 ? 0x04c11db7 : 0)
  }
  copy.writeUInt32LE(crc >>> 0, 22)
  return copy
}
