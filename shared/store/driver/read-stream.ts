import { Readable } from 'node:stream'

/** Where a `pullStream` gets its bytes. */
export interface Source {
  /** The next bytes; null after the last. It is not called again before it has settled. */
  next(): Promise<Uint8Array | null>
  /** Makes a pending `next` settle soon. */
  stop?(): void
  /** Releases the resources of the source. It is called once, when no `next` is pending. */
  close(): Promise<void>
}

/**
 * A stream that pulls bytes from `source` on demand, and closes the source when the stream ends, fails or is destroyed.
 * When `signal` aborts, the stream fails with the signal's reason.
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
