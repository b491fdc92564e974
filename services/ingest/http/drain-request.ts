import type { IncomingMessage } from 'node:http'

/** What a client may still have on its way when it is refused, and how long that may take. */
const MAX_BYTES = 32 * 1024 * 1024
const MAX_MS = 2000

/**
 * Reads and forgets the rest of a request, within limits. A connection that is closed on a client that
 * still sends is reset, and the answer that was on its way is lost.
 */
export async function drainRequest(request: IncomingMessage): Promise<void> {
  // Whoever waits for "100 Continue" has not begun to send.
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

/** Notes that the client sends its body only when it is told to go on. */
export function holdContinue(request: IncomingMessage): void {
  waiting.add(request)
}

/** Whether such a client still waits. */
export function awaitsContinue(request: IncomingMessage): boolean {
  return waiting.has(request)
}

/** It has been told. */
export function releaseContinue(request: IncomingMessage): void {
  waiting.delete(request)
}
