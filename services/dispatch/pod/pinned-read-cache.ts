import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { ObjectName } from '#shared/contracts/names.ts'
import type { ReadOptions, StoreDriver } from '#shared/store/driver/driver.ts'

/** What is fetched at once, bytes. */
const BLOCK = 4 << 20

/**
 * Stores whose objects are fetched once by this process, block by block as they are asked for, and then read from a
 * file of its own that nobody else sees. Only of reads that are pinned to a revision: what else might change.
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
        // The first piece is fetched before the stream is handed over: its faults are those of `read`.
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

/** A file that grows into an object. */
class Copy {
  readonly #store: StoreDriver
  readonly #name: ObjectName
  /** How many bytes each block has, once it is there. */
  readonly #blocks = new Map<number, Promise<number>>()
  #file: Promise<FileHandle> | undefined

  constructor(store: StoreDriver, name: ObjectName) {
    this.#store = store
    this.#name = name
  }

  /** The bytes [start, end), as far as there are any. */
  async *pieces(start: number, end: number, options: ReadOptions): AsyncGenerator<Buffer> {
    for (let at = start; at < end; ) {
      const index = Math.floor(at / BLOCK)
      const length = await this.#fetched(index, options)
      // One ahead: whoever reads on finds it there.
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
        // Another reader's fetch; its signal may have been the reason.
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
        // Open, but without a name: gone with the process, however it goes.
        await rm(folder, { recursive: true, force: true })
      }
    })()
    return this.#file
  }
}
