import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { createSlots } from './slots.ts'

/** The usual name first; the others are in use for the same. */
export const LINE_TYPES = ['application/x-ndjson', 'application/ndjson', 'application/jsonl']

/** How slowly a body may come: so many bytes in each stretch of so long, ms. */
export interface Pace {
  readonly bytes: number
  readonly ms: number
}

/** A kilobyte a second. */
const SLOWEST: Pace = { bytes: 30_000, ms: 30_000 }

interface Coming {
  since: number
  bytes: number
}

/**
 * Bounds how many bodies come at once, in all and of one client, which may have half of them; and ends those that
 * trickle. Lines may come when they please: each is dealt with at once, and a pause is no trick.
 */
export function limitBodies(
  app: FastifyInstance,
  { most, slowest = SLOWEST }: { readonly most: number; readonly slowest?: Pace | undefined },
): void {
  const slots = createSlots(most, Math.ceil(most / 2))
  const coming = new Map<IncomingMessage, Coming>()

  app.addHook('onRequest', async ({ raw, client, headers }) => {
    if (!hasBody(raw)) return
    const release = slots.take(client)
    if (release === undefined) {
      throw new PermanentError(
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
      // Where bytes wait to be read it is we who are slow.
      if (moved < slowest.bytes && raw.readableLength === 0 && !raw.complete) {
        coming.delete(raw)
        // Heard by whoever reads, who refuses it as he would any fault; destroyed, it could not be answered.
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

function tooSlow({ bytes, ms }: Pace): PermanentError {
  return new PermanentError(
    'REQUEST_TIMEOUT',
    `The body came too slowly: fewer than ${bytes} bytes in ${ms / 1000} s.`,
  )
}
