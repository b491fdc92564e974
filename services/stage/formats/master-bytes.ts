import { readBytes } from '#shared/assets/make/pcm-source.ts'
import { asChainError, RestartError } from '#shared/contracts/errors/chain.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { isNotFound } from '#shared/contracts/errors/store.ts'
import type { ObjectName, Revision } from '#shared/contracts/names.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import type { MasterBytes } from './byte-window.ts'

/**
 * Access to the bytes of a master in its store, at the given revision; without one, at whatever revision is
 * there. Reads throw RestartError MASTER_CHANGED when the master is gone or has changed.
 */
export function masterBytes(
  driver: StoreDriver,
  name: ObjectName,
  { bytes, revision }: { readonly bytes: number; readonly revision?: Revision },
): MasterBytes {
  const pinned = revision === undefined ? {} : { revision }
  return {
    bytes,
    read: (start, end, signal) =>
      readBytes(driver, name, start, end, { ...pinned, signal }).catch(gone),
    async *stream(start, end, signal) {
      let at = start
      try {
        const options = { start, end, ...pinned, signal }
        const pieces: AsyncIterable<Uint8Array> = await driver.read(name, options)
        for await (const piece of pieces) {
          at += piece.length
          yield piece
        }
      } catch (error) {
        gone(error)
      }
      if (at !== end)
        throw new Error(`${name}: ${at - start} bytes from ${start}, not ${end - start}`)
    },
  }
}

function gone(error: unknown): never {
  if (!isNotFound(error)) throw asChainError(error)
  throw new RestartError('MASTER_CHANGED', `the master is gone: ${sentence(error)}`)
}
