import { afterStoreError, StoreError } from '../../contracts/errors/store.ts'
import { type Answer, answerOf, GcsError, messageOf, type Opened, type Wire } from './wire.ts'

/** What to read: the bytes [start, end) of an object. */
export interface Wanted {
  readonly url: string
  readonly uri: string
  /** The generation to read; undefined: the current one, which then stays the same. */
  readonly generation: string | undefined
  readonly start: number
  /** One past the last byte; MAX_SAFE_INTEGER: the end of the object. */
  readonly end: number
}

/** The facts about an object in the headers of the first answer. */
interface Found {
  readonly generation: string | undefined
  /** The size of the whole object; undefined if the range lies past its end. */
  readonly bytes: number | undefined
  /** The CRC-32C of the whole object, base64; undefined if the server does not send it. */
  readonly crc32c: string | undefined
}

/** A download that survives broken connections. */
export interface Pull {
  /** The facts in the first answer. */
  readonly found: Found
  /** The next bytes, not verified; null after the last. @throws StoreError changed. */
  next(): Promise<Uint8Array | null>
  close(): void
}

/**
 * Downloads the bytes of an object. When a connection breaks, the next one continues at the byte where it broke, within
 * the same generation. The bytes are not verified. @throws StoreError not-found; changed.
 */
export async function pull(wire: Wire, wanted: Wanted, signal: AbortSignal): Promise<Pull> {
  const { url, uri, start, end } = wanted
  const isPinned = wanted.generation !== undefined
  const isPart = start > 0 || end !== Number.MAX_SAFE_INTEGER
  let { generation } = wanted
  let at = start
  let failures = 0
  let found: Found | undefined
  let current: Opened | undefined
  const stop = () => Math.min(end, found?.bytes ?? at)

  async function connect(): Promise<Found> {
    const opened = await wire.open({
      method: 'GET',
      url,
      query: { alt: 'media', generation },
      signal,
      headers: {
        // With any other encoding, ranges would count compressed bytes while the body is decompressed.
        'accept-encoding': 'identity',
        'cache-control': 'no-store',
        ...(isPart || at > 0
          ? { range: `bytes=${at}-${lastByte(at, found ? stop() : end)}` }
          : {}),
      },
      answers: [404, 412, 416],
    })
    const { status, headers } = opened
    if (status === 404 || status === 412) {
      checkBucket(await answerOf(opened))
      if (found === undefined && !isPinned)
        throw new StoreError('not-found', `there is no ${uri}`)
      throw changed(uri)
    }
    try {
      const given = headers.get('x-goog-generation') ?? undefined
      if (given !== undefined && generation !== undefined && given !== generation)
        throw new Error(`Cloud Storage gave generation ${given} of ${uri}, not ${generation}`)
      const bytes = extent(opened, at)
      if (found !== undefined && found.bytes !== bytes)
        throw new Error(`${uri} has ${bytes} bytes, and had ${found.bytes}`)
      generation ??= given
      current = opened
      return { generation, bytes, crc32c: crc32cOf(headers) }
    } catch (error) {
      opened.close()
      throw error
    }
  }

  /** Retries `act` until it succeeds, or fails for good. */
  async function persistently<T>(act: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await act()
      } catch (error) {
        current?.close()
        current = undefined
        if (afterStoreError(error) === 'answer') throw error
        await wire.again(error, ++failures, signal)
      }
    }
  }

  async function next(): Promise<Uint8Array | null> {
    if (at >= stop()) return null
    if (!current) await connect()
    const chunk = await current?.next()
    if (!chunk) throw new Error(`${uri} broke off at byte ${at} of ${stop()}`)
    const asked = chunk.subarray(0, stop() - at)
    if (asked.length === 0) return next()
    at += asked.length
    failures = 0
    return asked
  }

  found = await persistently(connect)
  return { found, next: () => persistently(next), close: () => current?.close() }
}

/** @throws GcsError when the bucket does not exist: a fault of the configuration, and not a missing object. */
export function checkBucket({ status, body }: Answer): void {
  const said = messageOf(body)
  if (/bucket does not exist/i.test(said)) throw new GcsError(status, said)
}

/** The last byte of a range header. An empty range asks for one byte, to find out whether the object exists. */
function lastByte(at: number, end: number): number | '' {
  return end === Number.MAX_SAFE_INTEGER ? '' : Math.max(at, end - 1)
}

/** The size of the object by the headers of an answer that has to begin at byte `at`; undefined past its end. */
function extent({ status, headers }: Opened, at: number): number | undefined {
  const range = headers.get('content-range') ?? ''
  if (status === 206) {
    const [from, last, bytes] = (/^bytes (\d+)-(\d+)\/(\d+)$/.exec(range) ?? [])
      .slice(1)
      .map(Number)
    if (bytes !== undefined && from === at && last !== undefined && last < bytes) return bytes
  } else if (status === 416) {
    const bytes = /^bytes \*\/(\d+)$/.exec(range)?.[1]
    if (bytes === undefined || Number(bytes) <= at) return undefined
  } else if (at === 0 && headers.has('content-length'))
    return Number(headers.get('content-length'))
  // The answer does not match the request. It is retried like a broken connection, whatever its status.
  throw new Error(
    `Cloud Storage answered ${status} with another range than that from byte ${at}: ${range}`,
  )
}

function crc32cOf(headers: Headers): string | undefined {
  return /\bcrc32c=([A-Za-z0-9+/]{6}==)/.exec(headers.get('x-goog-hash') ?? '')?.[1]
}

function changed(uri: string): StoreError {
  return new StoreError('changed', `${uri} is not what it was when the run began`)
}
