import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { ObjectName } from '#shared/contracts/names.ts'
import type { ReadOptions, StoreDriver } from '#shared/store/driver/driver.ts'

/** Size of a block, which is what one request fetches, bytes. */
const BLOCK = 4 << 20

/**
 * Wraps stores so that this process fetches each block of an object once, when it is first read, and then reads
 * it from a temporary file of its own. Only reads that are pinned to a revision are cached, because the content
 * of other reads may change.
 */
export function pinnedReadCache(): (store: StoreDriver) => StoreDriver {
  const copies = new Map<string, Copy>()
  return (store) => {
    const copyOf = (name: ObjectName, revision: string) => {
      const key = `${store.uri(name)} ${revision}`
      const copy = copies.get(key) ?? new Copy(store, name)
      copies.set(key, copy)
      return copy
    }
    const { readInto: _, ...rest } = store
    return {
      ...rest,
      async read(name, options = {}) {
        const { start = 0, end = Number.POSITIVE_INFINITY, revision } = options
        if (revision === undefined) return store.read(name, options)
        const pieces = copyOf(name, revision).pieces(start, end, options)
        // The first piece is fetched before the stream is returned, so that `read` itself rejects if it fails.
        const first = await pieces.next()
        return Readable.from(
          (async function* () {
            if (first.done) return
            yield first.value
            yield* pieces
          })(),
        )
      },
    }
  }
}

/** The local copy of one object, filled block by block. */
class Copy {
  readonly #store: StoreDriver
  readonly #name: ObjectName
  /** The number of bytes in each block that was fetched or is being fetched. */
  readonly #blocks = new Map<number, Promise<number>>()
  #file: Promise<FileHandle> | undefined

  constructor(store: StoreDriver, name: ObjectName) {
    this.#store = store
    this.#name = name
  }

  /** Yields the bytes [start, end); fewer if the object ends before `end`. */
  async *pieces(start: number, end: number, options: ReadOptions): AsyncGenerator<Buffer> {
    for (let at = start; at < end; ) {
      const index = Math.floor(at / BLOCK)
      const length = await this.#fetched(index, options)
      // Read ahead by one block, for a reader that continues.
      if ((index + 1) * BLOCK < end && length === BLOCK)
        this.#fetched(index + 1, options).catch(() => {})
      const from = at - index * BLOCK
      const bytes = Math.min(length, end - index * BLOCK) - from
      if (bytes <= 0) return
      const piece = Buffer.allocUnsafe(bytes)
      await (await this.#opened()).read(piece, 0, bytes, at)
      yield piece
      if (length < BLOCK) return
      at += bytes
    }
  }

  async #fetched(index: number, options: ReadOptions): Promise<number> {
    const known = this.#blocks.get(index)
    if (known !== undefined) {
      try {
        return await known
      } catch {
        // The fetch was another reader's, and may have been aborted by that reader's signal.
        options.signal?.throwIfAborted()
      }
    }
    const again = this.#blocks.get(index)
    if (again !== undefined && again !== known) return again
    const fetch = this.#fetch(index, options)
    this.#blocks.set(index, fetch)
    fetch.catch(() => {
      if (this.#blocks.get(index) === fetch) this.#blocks.delete(index)
    })
    return fetch
  }

  async #fetch(index: number, { revision, signal }: ReadOptions): Promise<number> {
    const start = index * BLOCK
    const options = { ...(revision && { revision }), ...(signal && { signal }) }
    const bytes = await buffer(
      await this.#store.read(this.#name, { start, end: start + BLOCK, ...options }),
    )
    await (await this.#opened()).write(bytes, 0, bytes.length, start)
    return bytes.length
  }

  #opened(): Promise<FileHandle> {
    this.#file ??= (async () => {
      const folder = await mkdtemp(join(tmpdir(), 'trackchain-master-'))
      try {
        return await open(join(folder, 'master'), 'w+')
      } finally {
        // The file stays open without a name, so it disappears when the process ends, in whatever way.
        await rm(folder, { recursive: true, force: true })
      }
    })()
    return this.#file
  }
}
