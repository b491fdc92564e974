/**
 * Yields the chunks of a body until `signal` aborts; then it throws the signal's reason, even while the body itself
 * hangs. It calls the body's `return` but does not wait for it.
 */
export async function* abortable(
  body: Uint8Array | AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  signal?.throwIfAborted()
  if (body instanceof Uint8Array) {
    yield body
    return
  }
  const chunks = body[Symbol.asyncIterator]()
  let ended = false
  try {
    while (true) {
      const next = await orAbort(chunks.next(), signal)
      if (next.done) {
        ended = true
        return
      }
      yield next.value
    }
  } finally {
    if (!ended) chunks.return?.().catch(() => {})
  }
}

/** Settles as the promise does, or rejects with the signal's reason, whichever comes first. */
export function orAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Settles as the promise does, or rejects with the error of `late` after `ms` milliseconds. */
export async function orLate<T>(
  promise: Promise<T>,
  ms: number,
  late: () => Error,
): Promise<T> {
  const { promise: tooLate, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(late()), ms)
  try {
    return await Promise.race([promise, tooLate])
  } finally {
    clearTimeout(timer)
  }
}

/** Aborts the controller, with the signal's reason, when the signal does, until the returned function is called. */
export function abortWith(
  signal: AbortSignal | undefined,
  controller: AbortController,
): () => void {
  const abort = () => controller.abort(signal?.reason)
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort, { once: true })
  return () => signal?.removeEventListener('abort', abort)
}
