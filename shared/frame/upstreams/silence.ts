import type { Body } from '../../store/driver/driver.ts'
import { silence } from './breaker.ts'

/** A slower link counts as down, bytes per ms. */
const SLOWEST_LINK = 125

/** How long a transfer of `bytes` bytes may take, ms: `silentMs`, and the time of the bytes on the slowest link. */
export function longestMs(bytes: number, silentMs: number): number {
  return silentMs + bytes / SLOWEST_LINK
}

/**
 * Detects a write that gets no answer within `silentMs` and the time of its bytes on the slowest link. The time in
 * which the write waits for its own body does not count.
 */
export class WriteSilence {
  /** Rejects when the write has been silent for too long. */
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

  /** Wraps the body of the write, which can be read once. */
  watch(body: Body): Body {
    this.#wait(body instanceof Uint8Array ? body.length : 0)
    return body instanceof Uint8Array ? body : this.#pieces(body)
  }

  /** Stops watching. */
  end(): void {
    clearTimeout(this.#timer)
  }

  async *#pieces(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let bytes = 0
    this.end()
    for await (const piece of body) {
      // All bytes so far count, because earlier pieces may not have been sent yet.
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
