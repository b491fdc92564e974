import { RestartError } from '../../contracts/errors/chain.ts'
import { NotFoundError } from '../driver/driver.ts'
import { type Answer, answerOf, GcsError, messageOf, type Opened, type Wire } from './wire.ts'

/** Of an object: the whole, or the bytes [start, end). */
export interface Wanted {
  readonly url: string
  readonly uri: string
  /** Only of this one; undefined: of whichever is there first. */
  readonly generation: string | undefined
  readonly start: number
  /** MAX_SAFE_INTEGER: to the end of the object. */
  readonly end: number
}

/** What the first answer tells of the object. */
interface Found {
  readonly generation: string | undefined
  /** Of the whole object; undefined where the range lies behind its end. */
  readonly bytes: number | undefined
  /** Of the whole object, base64; undefined where the server does not say. */
  readonly crc32c: string | undefined
}

export interface Pull {
  /** The first answer. @throws NotFoundError; RestartError MASTER_CHANGED. */
  readonly found: Found
  /** The next bytes, as they came; null behind the last. @throws RestartError MASTER_CHANGED. */
  next(): Promise<Uint8Array | null>
  close(): void
}

/**
 * The bytes of an object, outliving connections: when one breaks, the next goes on from the byte where it broke,
 * within the same generation. Whether they are the right ones is for the caller to judge.
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
      ...{ method: 'GET', url, query: { alt: 'media', generation }, signal },
      headers: {
        // Anything else would count bytes before, and deliver them after, decompression.
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
      if (found === undefined && !isPinned) throw new NotFoundError(`there is no ${uri}`)
      throw changed(uri)
    }
    try {
      const told = headers.get('x-goog-generation') ?? undefined
      if (told !== undefined && generation !== undefined && told !== generation)
        throw new Error(`Cloud Storage gave generation ${told} of ${uri}, not ${generation}`)
      const bytes = extent(opened, at)
      if (found !== undefined && found.bytes !== bytes)
        throw new Error(`${uri} has ${bytes} bytes, and had ${found.bytes}`)
      generation ??= told
      current = opened
      return { generation, bytes, crc32c: crc32cOf(headers) }
    } catch (error) {
      opened.close()
      throw error
    }
  }

  /** Does it until it goes well, or cannot. */
  async function persistently<T>(act: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await act()
      } catch (error) {
        current?.close()
        current = undefined
        if (error instanceof RestartError || error instanceof NotFoundError) throw error
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

/** A bucket that is not there is a fault of configuration, not an absent object. */
export function checkBucket({ status, body }: Answer): void {
  const said = messageOf(body)
  if (/bucket does not exist/i.test(said)) throw new GcsError(status, said)
}

/** An empty range is asked for as one byte: whether the object is there is to be known all the same. */
function lastByte(at: number, end: number): number | '' {
  return end === Number.MAX_SAFE_INTEGER ? '' : Math.max(at, end - 1)
}

/** How many bytes the object has, by the headers of an answer that should begin at byte `at`. */
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
  // Not what was asked for, whatever the status says: as passing as a broken connection.
  throw new Error(
    `Cloud Storage answered ${status} with another range than that from byte ${at}: ${range}`,
  )
}

function crc32cOf(headers: Headers): string | undefined {
  return /\bcrc32c=([A-Za-z0-9+/]{6}==)/.exec(headers.get('x-goog-hash') ?? '')?.[1]
}

function changed(uri: string): RestartError {
  return new RestartError('MASTER_CHANGED', `${uri} is not what it was when the run began`)
}
