import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { isJoinedName } from '#shared/assets/make/unit-work.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'

/**
 * Scratch whose markers of stages are kept in this process. A marker says that the continuation has been sent, and
 * what a process sends to itself goes when it does: in the store it would tell the next pod that there is nothing left
 * to send. One that stands in the store was left by somebody who has sent by a queue, and holds.
 */
export function inMemoryMarkers(scratch: StoreDriver): StoreDriver {
  const own = new Map<string, Buffer>()
  return {
    ...scratch,
    async stat(name, options) {
      const body = own.get(name)
      if (body === undefined) return scratch.stat(name, options)
      return { name, bytes: body.length, revision: 'own' as never, modified: new Date() }
    },
    async read(name, options) {
      const body = own.get(name)
      return body === undefined ? scratch.read(name, options) : Readable.from([body])
    },
    async create(name, body, options) {
      if (!isJoinedName(name)) return scratch.create(name, body, options)
      const bytes = body instanceof Uint8Array ? Buffer.from(body) : await buffer(body)
      const known = own.get(name)
      if (known !== undefined) return known.equals(bytes) ? 'exists' : 'differs'
      own.set(name, bytes)
      return 'created'
    },
    async remove(name) {
      own.delete(name)
      await scratch.remove(name)
    },
    async removeAll(prefix) {
      for (const name of own.keys()) if (name.startsWith(prefix)) own.delete(name)
      await scratch.removeAll(prefix)
    },
  }
}
