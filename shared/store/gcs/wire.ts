import { setTimeout as sleep } from 'node:timers/promises'
import { abortWith, orAbort } from '../../async/abort.ts'
import { backOffMs } from '../../async/retry.ts'
import { type StoreCode, StoreError } from '../../contracts/errors/store.ts'

/** Time limits and retries of requests to Cloud Storage. */
export interface Patience {
  /** The attempts for one request; for a stream, the consecutive attempts without a single byte. Default: 6. */
  readonly attempts?: number
  /** The delay before the second attempt, ms; it doubles each time. Default: 200. */
  readonly firstDelayMs?: number
  /** The longest delay between attempts, ms. Default: 8,000. */
  readonly longestDelayMs?: number
  /** A connection is broken after this silence, ms; uploads get their time on the slowest link too. Default: 10,000. */
  readonly timeoutMs?: number
  /** A slower link counts as down, bytes per second. Default: 125,000. */
  readonly slowestLink?: number
}

/** A request to the JSON API. */
export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** A path below the endpoint, or an absolute URL from the server. */
  readonly url: string
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array<ArrayBuffer>
  /** Statuses, in addition to 2xx, that are an answer to the caller and not an error. Default: none. */
  readonly answers?: readonly number[]
  readonly signal?: AbortSignal | undefined
}

/** A complete answer. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** The parsed body if it is JSON; otherwise its text. */
  readonly body: unknown
}

/** An answer whose body is still to be read. */
export interface Opened {
  readonly status: number
  readonly headers: Headers
  /** The next bytes; undefined after the last. @throws Error after `timeoutMs` of silence. */
  next(): Promise<Uint8Array | undefined>
  close(): void
}

const CODES: Readonly<Record<number, StoreCode>> = {
  400: 'refused',
  401: 'unauthenticated',
  403: 'denied',
  404: 'refused',
  412: 'exists',
  429: 'throttled',
}

/** Cloud Storage answered with an error status. A 404 of an object is an answer; here it is the bucket that is missing. */
export class GcsError extends StoreError {
  override readonly name = 'GcsError'
  /** The HTTP status. */
  readonly status: number

  constructor(status: number, message: string) {
    super(CODES[status] ?? 'unavailable', message)
    this.status = status
  }
}

/** HTTP to the JSON API, with time limits, bounded retries and cancellation. */
export interface Wire {
  /**
   * Sends a request, with retries, until there is an answer. The request must be idempotent.
   * @throws GcsError; the network's error after the last try; the signal's reason.
   */
  send(call: Call): Promise<Answer>
  /** Sends a request once, for callers that retry in their own way. The body is streamed. */
  open(call: Call): Promise<Opened>
  /** Waits before attempt number `attempt` + 1. @throws `error` if it must not be retried. */
  again(error: unknown, attempt: number, signal?: AbortSignal): Promise<void>
}

/** The statuses to retry, by https://cloud.google.com/storage/docs/retry-strategy. */
const PASSING = [408, 429, 500, 502, 503, 504]

/** A client of the JSON API. `credentials` returns the headers that authenticate a request to a URL. */
export function gcsWire(
  endpoint: string,
  credentials: (url: string) => Promise<Record<string, string>>,
  {
    attempts = 6,
    firstDelayMs = 200,
    longestDelayMs = 8000,
    timeoutMs = 10_000,
    slowestLink = 125_000,
  }: Patience,
): Wire {
  const wire: Wire = {
    async send(call) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await answerOf(await wire.open(call))
        } catch (error) {
          await wire.again(error, attempt, call.signal)
        }
      }
    },

    async open(call) {
      call.signal?.throwIfAborted()
      const watch = watchdog(call.signal)
      const limit = timeoutMs + ((call.body?.length ?? 0) / slowestLink) * 1000
      try {
        const url = urlOf(endpoint, call)
        const response = await watch.within(limit, async (signal) =>
          fetch(url, {
            method: call.method,
            headers: { ...(await orAbort(credentials(url), signal)), ...call.headers },
            ...(call.body ? { body: call.body } : {}),
            // A 308 of an upload session is an answer and not a redirect.
            redirect: 'manual',
            signal,
          }),
        )
        const reader = response.body?.getReader()
        const opened: Opened = {
          status: response.status,
          headers: response.headers,
          async next() {
            const next = await watch.within(timeoutMs, async () => reader?.read())
            if (next === undefined || next.done) watch.end()
            return next?.value
          },
          close: () => watch.end(new Error('closed')),
        }
        if (!response.ok && !call.answers?.includes(response.status))
          throw await refusal(call, opened)
        return opened
      } catch (error) {
        watch.end(error)
        throw error
      }
    },

    async again(error, attempt, signal) {
      signal?.throwIfAborted()
      if (attempt >= attempts || !isPassing(error)) throw error
      const delay = backOffMs(attempt, { firstMs: firstDelayMs, mostMs: longestDelayMs })
      const { retryAfterMs = 0 } = error as { retryAfterMs?: number }
      const ms = Math.max(delay, Math.min(longestDelayMs, retryAfterMs))
      await sleep(ms, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted())
    },
  }
  return wire
}

/** Reads an answer to its end. @throws Error when a successful JSON answer does not parse. */
export async function answerOf(opened: Opened): Promise<Answer> {
  const { status, headers } = opened
  const body = parsed(await textOf(opened))
  const isJson = /\bjson\b/.test(headers.get('content-type') ?? '')
  if (isJson && status < 300 && typeof body !== 'object')
    throw new Error(`Cloud Storage answered ${status} with JSON that breaks off or is damaged`)
  return { status, headers, body }
}

/** Whether an error may be retried. Errors other than an error status are faults of the network, which may pass. */
function isPassing(error: unknown): boolean {
  return error instanceof GcsError ? PASSING.includes(error.status) : true
}

async function refusal(call: Call, opened: Opened): Promise<GcsError> {
  const said = messageOf((await answerOf(opened)).body).slice(0, 500)
  const error = new GcsError(
    opened.status,
    `Cloud Storage answered ${opened.status} to ${call.method} ${call.url}: ${said}`,
  )
  const seconds = Number(opened.headers.get('retry-after') ?? Number.NaN)
  return Number.isFinite(seconds)
    ? Object.assign(error, { retryAfterMs: seconds * 1000 })
    : error
}

/** The server's message in the body of an error. */
export function messageOf(body: unknown): string {
  if (typeof body === 'string') return body
  return String((body as { error?: { message?: string } } | undefined)?.error?.message ?? '')
}

async function textOf(opened: Opened): Promise<string> {
  const chunks: Uint8Array[] = []
  for (let chunk = await opened.next(); chunk; chunk = await opened.next()) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function urlOf(endpoint: string, call: Call): string {
  const url = new URL(call.url, endpoint)
  for (const [key, value] of Object.entries(call.query ?? {}))
    if (value !== undefined) url.searchParams.set(key, String(value))
  return url.href
}

/** Aborts a request that exceeds its time limit or whose caller has aborted. */
function watchdog(signal: AbortSignal | undefined) {
  const cut = new AbortController()
  const release = abortWith(signal, cut)
  return {
    async within<T>(ms: number, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
      const late = () =>
        cut.abort(new Error(`Cloud Storage was silent for ${Math.round(ms)} ms`))
      const timer = setTimeout(late, ms)
      try {
        return await act(cut.signal)
      } finally {
        clearTimeout(timer)
      }
    },
    end(reason?: unknown) {
      release()
      if (reason !== undefined) cut.abort(reason)
    },
  }
}
