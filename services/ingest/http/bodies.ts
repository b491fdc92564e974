import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { createSlots } from './slots.ts'

/** The content types of NDJSON, the most common one first. */
export const LINE_TYPES = ['application/x-ndjson', 'application/ndjson', 'application/jsonl']

/** A minimum speed of a body: at least `bytes` in each interval of `ms` milliseconds. */
export interface BodySpeed {
  readonly bytes: number
  readonly ms: number
}

/** Default minimum speed: a kilobyte a second, over 30 s. */
const SLOWEST: BodySpeed = { bytes: 30_000, ms: 30_000 }

interface Coming {
  since: number
  bytes: number
}

/**
 * Limits the number of bodies received concurrently, in total to `most` and for one client to half of that, and
 * ends bodies that arrive too slowly. Bodies of lines may pause: each line is handled at once, so a pause is
 * legitimate.
 */
export function limitBodies(
  app: FastifyInstance,
  {
    most,
    slowest = SLOWEST,
  }: { readonly most: number; readonly slowest?: BodySpeed | undefined },
): void {
  const slots = createSlots(most, Math.ceil(most / 2))
  const coming = new Map<IncomingMessage, Coming>()

  app.addHook('onRequest', async ({ raw, client, headers }) => {
    if (!hasBody(raw)) return
    const release = slots.take(client)
    if (release === undefined) {
      throw new HttpError(
        'TOO_MANY_REQUESTS',
        `${most} bodies are received at once, half of them of one client; no other can begin now.`,
      )
    }
    const type = headers['content-type'] ?? ''
    if (!LINE_TYPES.some((each) => type.startsWith(each))) {
      coming.set(raw, { since: performance.now(), bytes: raw.socket.bytesRead })
    }
    raw.once('close', () => {
      release()
      coming.delete(raw)
    })
  })

  function look(): void {
    const now = performance.now()
    for (const [raw, last] of coming) {
      if (now - last.since < slowest.ms) continue
      const moved = raw.socket.bytesRead - last.bytes
      // Unread bytes mean that this process is slow, not the client.
      if (moved < slowest.bytes && raw.readableLength === 0 && !raw.complete) {
        coming.delete(raw)
        // The reader gets the error and answers with a problem document. If the request were destroyed, no
        // answer could be sent.
        if (raw.listenerCount('error') > 0) raw.emit('error', tooSlow(slowest))
        else raw.destroy()
      } else coming.set(raw, { since: now, bytes: raw.socket.bytesRead })
    }
  }
  const timer = setInterval(look, slowest.ms / 6)
  timer.unref()
  app.addHook('onClose', async () => clearInterval(timer))
}

function hasBody({ headers }: IncomingMessage): boolean {
  return (
    headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  )
}

function tooSlow({ bytes, ms }: BodySpeed): HttpError {
  return new HttpError(
    'REQUEST_TIMEOUT',
    `The body came too slowly: fewer than ${bytes} bytes in ${ms / 1000} s.`,
  )
}
