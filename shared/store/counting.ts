import type { ObjectName } from '../names.ts'
import type { Body, StoreDriver } from './driver.ts'

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

/** The same store, counting into `counts`. Bytes of a body that turns out to exist count as written. */
export function counting(driver: StoreDriver, counts: Counts): StoreDriver {
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
      return driver.stat(name, options)
    },
    async read(name, options) {
      counts.operations++
      const source = await driver.read(name, options)
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
        await driver.readInto?.(name, target, options)
        came(target.length, true)
      },
    }),
    create(name, body, options) {
      counts.operations++
      return driver.create(name, countedBody(body, went), options)
    },
    remove(name) {
      counts.operations++
      return driver.remove(name)
    },
    list(prefix, options) {
      counts.operations++
      return driver.list(prefix, options)
    },
    removeAll(prefix) {
      counts.operations++
      return driver.removeAll(prefix)
    },
    uri: (name) => driver.uri(name),
  }
}

/** The kind of a store is told by the URI of any object in it. */
const ANY = 'any' as ObjectName

function countedBody(body: Body, went: (bytes: number) => void): Body {
  if (body instanceof Uint8Array) {
    went(body.length)
    return body
  }
  return countedChunks(body, went)
}

async function* countedChunks(body: AsyncIterable<Uint8Array>, went: (bytes: number) => void) {
  for await (const chunk of body) {
    went(chunk.length)
    yield chunk
  }
}
