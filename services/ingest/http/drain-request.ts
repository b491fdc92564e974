import type { IncomingMessage } from 'node:http'

/** Limits for draining a refused request: bytes, and time in ms. */
const MAX_BYTES = 32 * 1024 * 1024
const MAX_MS = 2000

/**
 * Reads and discards the rest of a request, up to 32 MiB and 2 s. If a connection is closed while the client
 * still sends, it is reset, and the response on its way is lost.
 */
export async function drainRequest(request: IncomingMessage): Promise<void> {
  // A client that waits for "100 Continue" has not begun to send.
  if (request.destroyed || request.complete || awaitsContinue(request)) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, MAX_MS)
  let bytes = 0
  const count = (chunk: Uint8Array) => {
    bytes += chunk.length
    if (bytes > MAX_BYTES) resolve()
  }
  request.unpipe()
  request.on('data', count).once('end', resolve).once('close', resolve).on('error', resolve)
  request.resume()
  await promise
  clearTimeout(timer)
  request.off('data', count)
}

const waiting = new WeakSet<IncomingMessage>()

/** Marks a request whose client waits for "100 Continue" before it sends the body. */
export function holdContinue(request: IncomingMessage): void {
  waiting.add(request)
}

/** Whether the client of this request still waits for "100 Continue". */
export function awaitsContinue(request: IncomingMessage): boolean {
  return waiting.has(request)
}

/** Removes the mark: "100 Continue" is about to be sent. */
export function releaseContinue(request: IncomingMessage): void {
  waiting.delete(request)
}
