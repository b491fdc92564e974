import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Body, StoreDriver } from '#shared/store/driver/driver.ts'

/** A link of limited bandwidth, bytes per second, which all stores behind it share. */
export class Link {
  carried = 0
  readonly #bytesPerMs: number
  #freeAt = performance.now()

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000
  }

  /** Resolves when the bytes have come through. */
  async carry(bytes: number): Promise<void> {
    this.carried += bytes
    this.#freeAt = Math.max(performance.now(), this.#freeAt) + bytes / this.#bytesPerMs
    await sleep(this.#freeAt - performance.now())
  }

  async *through(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces) {
      for (let at = 0; at < piece.length; at += PIECE) {
        const part = piece.subarray(at, at + PIECE)
        await this.carry(part.length)
        yield part
      }
    }
  }
}

const PIECE = 16 * 1024

/** The same store behind a slow link. */
export function throttled(store: StoreDriver, link: Link): StoreDriver {
  return {
    ...store,
    async read(name, options) {
      const source = await store.read(name, options)
      return Readable.from(link.through(source), { objectMode: false })
    },
    ...(store.readInto && {
      async readInto(name, target, options) {
        await store.readInto?.(name, target, options)
        for (let at = 0; at < target.length; at += PIECE)
          await link.carry(Math.min(PIECE, target.length - at))
      },
    }),
    create(name, body, options) {
      return store.create(name, throughLink(body, link), options)
    },
  }
}

function throughLink(body: Body, link: Link): Body {
  return link.through(body instanceof Uint8Array ? Readable.from([body]) : body)
}
