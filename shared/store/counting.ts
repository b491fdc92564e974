import type { Body, StoreDriver } from './driver.ts'

/** What a step did to a store; the wrapper adds to it as it goes. */
export interface Counts {
  /** Calls, whatever each costs the store in requests. */
  operations: number
  bytesRead: number
  bytesWritten: number
}

/** The same store, counting into `counts`. Bytes of a body that turns out to exist count as written. */
export function counting(driver: StoreDriver, counts: Counts): StoreDriver {
  return {
    stat(name, options) {
      counts.operations++
      return driver.stat(name, options)
    },
    async read(name, options) {
      counts.operations++
      const source = await driver.read(name, options)
      // As the bytes come in: a transform in between would cost as much as the look at a small object.
      const push = source.push
      source.push = (chunk: Uint8Array | null) => {
        if (chunk !== null) counts.bytesRead += chunk.length
        return push.call(source, chunk)
      }
      return source
    },
    ...(driver.readInto && {
      async readInto(name, target, options) {
        counts.operations++
        await driver.readInto?.(name, target, options)
        counts.bytesRead += target.length
      },
    }),
    create(name, body, options) {
      counts.operations++
      return driver.create(name, countedBody(body, counts), options)
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

function countedBody(body: Body, counts: Counts): Body {
  if (body instanceof Uint8Array) {
    counts.bytesWritten += body.length
    return body
  }
  return countedChunks(body, counts)
}

async function* countedChunks(body: AsyncIterable<Uint8Array>, counts: Counts) {
  for await (const chunk of body) {
    counts.bytesWritten += chunk.length
    yield chunk
  }
}
