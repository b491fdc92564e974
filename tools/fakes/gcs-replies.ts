import { createHash } from 'node:crypto'

/** An object in a bucket. */
export interface StoredObject {
  readonly bytes: Buffer
  readonly generation: number
  readonly contentType: string
  readonly metadata: Record<string, string>
  readonly created: string
}

/** A reply of the API: a document, or the bytes of an object. */
export interface Reply {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly json?: unknown
  readonly media?: Buffer
}

export const noBucket = failure(404, 'The specified bucket does not exist.')
export const mismatch = failure(
  412,
  'At least one of the pre-conditions you specified did not hold.',
)

/** A refusal as the JSON API words it. */
export function failure(code: number, message: string): Reply {
  return { status: code, json: { error: { code, message, errors: [{ message }] } } }
}

/** The bytes of an object, or the range of them that a Range header asks for. */
export function media(object: StoredObject, range: string | undefined): Reply {
  const { bytes } = object
  const headers = {
    'content-type': object.contentType,
    'x-goog-generation': String(object.generation),
    'x-goog-hash': `crc32c=${hashesOf(bytes).crc32c},md5=${hashesOf(bytes).md5Hash}`,
    'x-goog-stored-content-encoding': 'identity',
  }
  const asked = /^bytes=(\d+)-(\d*)$/.exec(range ?? '')
  if (!asked) return { status: 200, headers, media: bytes }
  const start = Number(asked[1])
  const end = Math.min(asked[2] ? Number(asked[2]) + 1 : bytes.length, bytes.length)
  if (start >= bytes.length) {
    const refused = failure(416, 'The requested range cannot be satisfied.')
    return { ...refused, headers: { 'content-range': `bytes */${bytes.length}` } }
  }
  return {
    status: 206,
    headers: { ...headers, 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` },
    media: bytes.subarray(start, end),
  }
}

/** An object's metadata. */
export function resource(bucket: string, name: string, object: StoredObject) {
  return {
    kind: 'storage#object',
    bucket,
    name,
    size: String(object.bytes.length),
    generation: String(object.generation),
    metageneration: '1',
    contentType: object.contentType,
    metadata: object.metadata,
    ...hashesOf(object.bytes),
    timeCreated: object.created,
    updated: object.created,
  }
}

const known = new WeakMap<Uint8Array, { md5Hash: string; crc32c: string }>()

/** The hashes of an object, cached: its bytes never change, and it is requested many times. */
export function hashesOf(bytes: Uint8Array): { md5Hash: string; crc32c: string } {
  const hashes = known.get(bytes) ?? { md5Hash: md5(bytes), crc32c: crc32c(bytes) }
  known.set(bytes, hashes)
  return hashes
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('base64')
}

/** CRC-32 by Castagnoli's polynomial, reflected, as in RFC 3720. */
function crc32c(bytes: Uint8Array): string {
  let crc = -1
  for (let i = 0; i < bytes.length; i++) {
    crc = (CRC32C[(crc ^ (bytes[i] as number)) & 255] as number) ^ (crc >>> 8)
  }
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(~crc >>> 0)
  return buffer.toString('base64')
}

const CRC32C = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})
