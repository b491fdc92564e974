import type { Readable } from 'node:stream'
import { RestartError } from '../errors.ts'
import { NotFoundError, type ReadOptions } from './driver.ts'
import {
  type Answer,
  answerOf,
  GcsError,
  messageOf,
  type Opened,
  type Wire,
} from './gcs-wire.ts'
import { pullStream } from './pull-stream.ts'
import { cutRange } from './range.ts'

const BUFFERED_BYTES = 256 * 1024

/**
 * The bytes [start, end) of an object as a stream that outlives its connections: when one breaks,
 * the next goes on from the byte where it broke, within the same generation.
 * @throws NotFoundError; RestartError MASTER_CHANGED, also as the stream's error.
 */
export async function readObject(
  wire: Wire,
  object: { readonly url: string; readonly uri: string },
  generation: string | undefined,
  options: ReadOptions | undefined,
): Promise<Readable> {
  const { signal, end = Number.MAX_SAFE_INTEGER } = options ?? {}
  const pinned = generation !== undefined
  const cut = new AbortController()
  const ranged = cutRange(options, Number.MAX_SAFE_INTEGER)
  const isPart = options?.start !== undefined || options?.end !== undefined
  let at = ranged.start
  let stop: number | undefined
  let failures = 0
  let current: Opened | undefined

  const connect = async (): Promise<void> => {
    const opened = await wire.open({
      method: 'GET',
      url: object.url,
      query: { alt: 'media', generation },
      headers: {
        // Anything else would count bytes before, and deliver them after, decompression.
        'accept-encoding': 'identity',
        'cache-control': 'no-store',
        ...(isPart || at > 0 ? { range: `bytes=${at}-${lastByte(at, stop ?? end)}` } : {}),
      },
      answers: [404, 412, 416],
      signal: cut.signal,
    })
    if (opened.status === 404 || opened.status === 412) {
      checkBucket(await answerOf(opened, 1))
      if (stop === undefined && !pinned) throw new NotFoundError(`there is no ${object.uri}`)
      throw changed(object.uri)
    }
    if (opened.status === 416) {
      opened.close()
      stop ??= at
      return
    }
    const held = extent(opened, at)
    generation ??= opened.headers.get('x-goog-generation') ?? undefined
    stop ??= Math.min(end, held)
    current = opened
  }

  const next = async (): Promise<Uint8Array | null> => {
    while (stop === undefined || at < stop) {
      try {
        if (!current) await connect()
        const chunk = await current?.next()
        const wanted = chunk?.subarray(0, (stop ?? at) - at)
        if (wanted && wanted.length > 0) {
          at += wanted.length
          failures = 0
          return wanted
        }
        if (!chunk && stop !== undefined && at < stop)
          throw new Error(`${object.uri} broke off at byte ${at} of ${stop}`)
      } catch (error) {
        current?.close()
        current = undefined
        if (error instanceof RestartError || error instanceof NotFoundError) throw error
        await wire.again(error, ++failures, cut.signal)
      }
    }
    return null
  }

  const abort = () => cut.abort(signal?.reason)
  signal?.throwIfAborted()
  signal?.addEventListener('abort', abort, { once: true })
  // An empty range is asked for as one byte: whether the object is there is to be known all the same.
  while (stop === undefined) {
    try {
      await connect()
    } catch (error) {
      if (error instanceof RestartError || error instanceof NotFoundError) {
        signal?.removeEventListener('abort', abort)
        throw error
      }
      await wire.again(error, ++failures, cut.signal)
    }
  }
  return pullStream(
    {
      next,
      stop: () => cut.abort(new Error('the stream was closed')),
      async close() {
        signal?.removeEventListener('abort', abort)
        ;(current as Opened | undefined)?.close()
      },
    },
    BUFFERED_BYTES,
    signal,
  )
}

/** A bucket that is not there is a fault of configuration, not an absent object. */
export function checkBucket({ status, body }: Answer): void {
  const said = messageOf(body)
  if (/bucket does not exist/i.test(said)) throw new GcsError(status, said)
}

function lastByte(at: number, end: number): number | '' {
  return end === Number.MAX_SAFE_INTEGER ? '' : Math.max(at, end - 1)
}

/** One past the last byte that exists, by the headers of an answer that begins at byte `at`. */
function extent({ status, headers }: Opened, at: number): number {
  if (status === 206) {
    const [, from, , bytes] =
      /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers.get('content-range') ?? '') ?? []
    if (Number(from) === at && bytes !== undefined) return Number(bytes)
  } else if (at === 0 && headers.has('content-length'))
    return Number(headers.get('content-length'))
  throw new GcsError(status, `Cloud Storage gave another range than that from byte ${at}`)
}

function changed(uri: string): RestartError {
  return new RestartError('MASTER_CHANGED', `${uri} is not what it was when the run began`)
}
