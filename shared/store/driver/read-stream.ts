import { Readable } from 'node:stream'

export interface Source {
  /** The next bytes; null behind the last. Never called again before it has settled. */
  next(): Promise<Uint8Array | null>
  /** Makes a `next` that is under way settle soon. */
  stop?(): void
  /** Gives back what the source holds; called once, when no `next` is under way. */
  close(): Promise<void>
}

/**
 * A stream that asks `source` for bytes as they are wanted, and closes it however it ends.
 * When `signal` aborts, the stream ends with the signal's reason as its error.
 */
export function pullStream(
  source: Source,
  highWaterMark: number,
  signal: AbortSignal | undefined,
): Readable {
  let asking: Promise<unknown> = Promise.resolve()
  const abort = () => stream.destroy(asError(signal?.reason))
  const stream = new Readable({
    highWaterMark,
    read() {
      const asked = source.next()
      asking = asked.catch(() => {})
      asked.then(
        (chunk) => this.push(chunk),
        (error) => this.destroy(error),
      )
    },
    destroy(error, done) {
      signal?.removeEventListener('abort', abort)
      source.stop?.()
      asking
        .then(() => source.close())
        .then(
          () => done(error),
          (failure) => done(error ?? failure),
        )
    },
  })
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort, { once: true })
  return stream
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}
