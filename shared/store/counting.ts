import type { Readable } from 'node:stream'
import { abandon } from '../async/abandon.ts'
import { Waits } from '../underway/waits.ts'
import type { Body, StoreDriver } from './driver/driver.ts'

/** What a step has done on its stores so far. `counting` adds to it with each call. */
export interface Counts {
  /** The number of calls. A call may take several requests of the store. */
  operations: number
  bytesRead: number
  bytesWritten: number
  /**
   * The bytes, of those read and written, that came from and went to stores across the WAN, i.e. buckets. On a route whose cluster is elsewhere
   * these have crossed the WAN. A part of an object counts twice, because it has no checksum and is read twice. Bytes
   * that were sent again after a fault are not counted.
   */
  bytesFromCloud: number
  bytesToCloud: number
}

/** Counts that start at 0. */
export function noCounts(): Counts {
  return { operations: 0, bytesRead: 0, bytesWritten: 0, bytesFromCloud: 0, bytesToCloud: 0 }
}

/**
 * Wraps a store so that it counts into `counts`. The bytes of a body count as written even if the object exists.
 * @param waits Measures the time that the store is waited for, without the time that the store itself waits for the
 * bytes of a body or for a reader.
 */
export function counting(
  driver: StoreDriver,
  counts: Counts,
  waits: Waits = new Waits(),
): StoreDriver {
  const came = (bytes: number, isPart: boolean) => {
    counts.bytesRead += bytes
    if (driver.crossesWan) counts.bytesFromCloud += isPart ? 2 * bytes : bytes
  }
  const went = (bytes: number) => {
    counts.bytesWritten += bytes
    if (driver.crossesWan) counts.bytesToCloud += bytes
  }
  return {
    crossesWan: driver.crossesWan,
    stat(name, options) {
      counts.operations++
      return waits.during(() => driver.stat(name, options))
    },
    async read(name, options) {
      counts.operations++
      const source = await waits.during(() => driver.read(name, options))
      waitedFor(source, waits)
      const isPart = options?.start !== undefined || options?.end !== undefined
      // Counted as they are pushed: a transform stream in between would cost as much as reading a small object.
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

/** Measures the time from each read of a stream to the next bytes, or to its end. */
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
  // While the body produces a chunk, the time is not spent on the store.
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
