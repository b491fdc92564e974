import type { Body } from '../../store/driver/driver.ts'
import { silence } from './breaker.ts'

/** A link slower than this is taken to be down, bytes per ms. */
const SLOWEST_LINK = 125

/** How long so many bytes may take, ms. */
export function longestMs(bytes: number, silentMs: number): number {
  return silentMs + bytes / SLOWEST_LINK
}

/**
 * Notices a write that falls silent: it has `silentMs`, and for each byte of its body the time of a slow link. While
 * the write waits for its body it is not the store that is silent.
 */
export class WriteSilence {
  /** Rejects when it is silent for too long. */
  readonly tooLong: Promise<never>
  readonly #silentMs: number
  readonly #reject: (error: Error) => void
  #timer: NodeJS.Timeout | undefined

  constructor(silentMs: number) {
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => {})
    this.tooLong = promise
    this.#reject = reject
    this.#silentMs = silentMs
  }

  /** The same body; to be written once. */
  watch(body: Body): Body {
    this.#wait(body instanceof Uint8Array ? body.length : 0)
    return body instanceof Uint8Array ? body : this.#pieces(body)
  }

  end(): void {
    clearTimeout(this.#timer)
  }

  async *#pieces(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let bytes = 0
    this.end()
    for await (const piece of body) {
      // What came before may not have been sent yet.
      bytes += piece.length
      this.#wait(bytes)
      yield piece
      this.end()
    }
    this.#wait(bytes)
  }

  #wait(bytes: number): void {
    const ms = longestMs(bytes, this.#silentMs)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#reject(silence('a write', ms)), ms)
  }
}
