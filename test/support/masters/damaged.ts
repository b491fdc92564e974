/** Copies of a file with something in them changed. */

const WRITERS = {
  u16: (file: Buffer, at: number, value: number | bigint) =>
    file.writeUInt16LE(Number(value), at),
  u32: (file: Buffer, at: number, value: number | bigint) =>
    file.writeUInt32LE(Number(value), at),
  u64: (file: Buffer, at: number, value: number | bigint) =>
    file.writeBigUInt64LE(BigInt(value), at),
  u16be: (file: Buffer, at: number, value: number | bigint) =>
    file.writeUInt16BE(Number(value), at),
  u32be: (file: Buffer, at: number, value: number | bigint) =>
    file.writeUInt32BE(Number(value), at),
  u64be: (file: Buffer, at: number, value: number | bigint) =>
    file.writeBigUInt64BE(BigInt(value), at),
}

/** A number put over what is at byte `at`. */
export function put(
  file: Buffer,
  at: number,
  kind: keyof typeof WRITERS,
  value: number | bigint,
): Buffer {
  const copy = Buffer.from(file)
  WRITERS[kind](copy, at, value)
  return copy
}

/** Bytes put over what is at byte `at`. */
export function over(file: Buffer, at: number, bytes: Uint8Array | string): Buffer {
  const copy = Buffer.from(file)
  copy.set(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, at)
  return copy
}

/** Without its last third. */
export function cutShort(file: Buffer): Buffer {
  return file.subarray(0, Math.floor((file.length * 2) / 3))
}
