import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { isJoinedName } from '#shared/assets/make/unit-work.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'

/**
 * Returns a scratch store that keeps the markers of stages in memory. A marker says that the continuation of a
 * run has been sent. Within a pod, the continuation is sent in memory and is lost with the process; a marker in
 * the store would tell the next pod that nothing is left to send. A marker that is found in the store was left
 * by a process that sent through Pub/Sub, so it is valid.
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
