import type { Readable } from 'node:stream'
import { abandon } from '../async/abandon.ts'
import type { ObjectName } from '../contracts/names.ts'
import { Waits } from '../underway/waits.ts'
import type { Body, StoreDriver } from './driver/driver.ts'

/** What a step did to a store; the wrapper adds to it as it goes. */
export interface Counts {
  /** Calls, whatever each costs the store in requests. */
  operations: number
  bytesRead: number
  bytesWritten: number
  /**
   * Of those, what came from and went to buckets: on a route whose cluster is elsewhere, what has crossed the WAN. A
   * part of an object comes twice, because it has no checksum; what was sent again after a fault is not counted.
   */
  bytesFromCloud: number
  bytesToCloud: number
}

export function noCounts(): Counts {
  return { operations: 0, bytesRead: 0, bytesWritten: 0, bytesFromCloud: 0, bytesToCloud: 0 }
}

/**
 * The same store, counting into `counts`. Bytes of a body that turns out to exist count as written.
 * @param waits is told how long the store is waited for; not while it waits for the bytes of a body, or for a reader
 */
export function counting(
  driver: StoreDriver,
  counts: Counts,
  waits: Waits = new Waits(),
): StoreDriver {
  const isCloud = driver.uri(ANY).startsWith('gs:')
  const came = (bytes: number, isPart: boolean) => {
    counts.bytesRead += bytes
    if (isCloud) counts.bytesFromCloud += isPart ? 2 * bytes : bytes
  }
  const went = (bytes: number) => {
    counts.bytesWritten += bytes
    if (isCloud) counts.bytesToCloud += bytes
  }
  return {
    stat(name, options) {
      counts.operations++
      return waits.during(() => driver.stat(name, options))
    },
    async read(name, options) {
      counts.operations++
      const source = await waits.during(() => driver.read(name, options))
      waitedFor(source, waits)
      const isPart = options?.start !== undefined || options?.end !== undefined
      // As the bytes come in: a transform in between would cost as much as the look at a small object.
      const push = source.push
      source.push = (chunk: Uint8Array | null) => {
        if (chunk !== null) came(chunk.length, isPart)
        return push.call(source, chunk)
      }
      return source
    },
    ...(driver.readInto && {
      async readInto(name, target, options) {
        counts.operations++
        await waits.during(async () => driver.readInto?.(name, target, options))
        came(target.length, true)
      },
    }),
    create(name, body, options) {
      counts.operations++
      return waits.during(() => driver.create(name, countedBody(body, went, waits), options))
    },
    remove(name) {
      counts.operations++
      return waits.during(() => driver.remove(name))
    },
    async *list(prefix, options) {
      counts.operations++
      const found = driver.list(prefix, options)[Symbol.asyncIterator]()
      try {
        for (;;) {
          const next = await waits.during(() => found.next())
          if (next.done) return
          yield next.value
        }
      } finally {
        abandon(found)
      }
    },
    removeAll(prefix) {
      counts.operations++
      return waits.during(() => driver.removeAll(prefix))
    },
    uri: (name) => driver.uri(name),
  }
}

/** The kind of a store is told by the URI of any object in it. */
const ANY = 'any' as ObjectName

/** Counts the time from when a stream is asked for bytes to when it has some. */
function waitedFor(source: Readable, waits: Waits): void {
  const { push, _read } = source
  let isAsked = false
  const answered = () => {
    if (isAsked) waits.end()
    isAsked = false
  }
  source._read = (size) => {
    if (!isAsked) waits.begin()
    isAsked = true
    _read.call(source, size)
  }
  source.push = (chunk) => {
    answered()
    return push.call(source, chunk)
  }
  source.once('close', answered)
}

function countedBody(body: Body, went: (bytes: number) => void, waits: Waits): Body {
  if (body instanceof Uint8Array) {
    went(body.length)
    return body
  }
  return countedChunks(body, went, waits)
}

async function* countedChunks(
  body: AsyncIterable<Uint8Array>,
  went: (bytes: number) => void,
  waits: Waits,
) {
  // Until a piece is there it is not the store that is waited for.
  waits.end()
  let isWaiting = false
  try {
    for await (const chunk of body) {
      went(chunk.length)
      isWaiting = true
      waits.begin()
      yield chunk
      waits.end()
      isWaiting = false
    }
  } finally {
    if (!isWaiting) waits.begin()
  }
}
