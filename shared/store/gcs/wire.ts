import { setTimeout as sleep } from 'node:timers/promises'
import { orAbort } from '../../async/abort.ts'

/** How patient we are with Cloud Storage. */
export interface Patience {
  /** Tries in all, of one request; for a stream: in a row without a single byte. */
  readonly attempts?: number
  /** Before the second try, milliseconds; doubled each time. */
  readonly firstDelayMs?: number
  readonly longestDelayMs?: number
  /** Silence that counts as a broken connection, milliseconds; for uploads plus their time on a slow link. */
  readonly timeoutMs?: number
  /** A link slower than this is taken to be down, bytes per second. */
  readonly slowestLink?: number
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** A path below the endpoint, or a whole URL that the server gave. */
  readonly url: string
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array<ArrayBuffer>
  /** Statuses beside 2xx that are an answer to the caller and no error. */
  readonly answers?: readonly number[]
  readonly signal?: AbortSignal | undefined
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** The parsed body where it was JSON, else its text. */
  readonly body: unknown
}

export interface Opened {
  readonly status: number
  readonly headers: Headers
  /** The next bytes, undefined behind the last; throws after `timeoutMs` of silence. */
  next(): Promise<Uint8Array | undefined>
  close(): void
}

/** Cloud Storage refused, or kept failing until patience ended. */
export class GcsError extends Error {
  override readonly name = 'GcsError'
  /** The HTTP status. */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Whether an error says that this identity may not. */
export function isDenied(error: unknown): boolean {
  return error instanceof GcsError && (error.status === 401 || error.status === 403)
}

/** HTTP to the JSON API, with time limits, bounded retries and cancellation. */
export interface Wire {
  /**
   * Sends until there is an answer. Everything sent here must be harmless to send twice.
   * @throws GcsError; the network's error after the last try; the signal's reason.
   */
  send(call: Call): Promise<Answer>
  /** One try, for callers who know themselves how to go on. Gives the body as it comes. */
  open(call: Call): Promise<Opened>
  /** Waits before try number `attempt` + 1, or throws `error` if there shall be none. */
  again(error: unknown, attempt: number, signal?: AbortSignal): Promise<void>
}

/** https://cloud.google.com/storage/docs/retry-strategy names these. */
const PASSING = [408, 429, 500, 502, 503, 504]

/** `credentials` gives the headers that authenticate a request to a URL. */
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
            // A 308 of an upload session is an answer, not a place to go to.
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
      const delay = Math.min(longestDelayMs, firstDelayMs * 2 ** (attempt - 1))
      const asked = Math.min(
        longestDelayMs,
        (error as { retryAfterMs?: number }).retryAfterMs ?? 0,
      )
      // Jitter, so that workers who failed together do not come back together.
      const ms = Math.max(asked, delay * (0.5 + Math.random() / 2))
      await sleep(ms, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted())
    },
  }
  return wire
}

/** All of an answer, once its body has come whole. @throws Error when what should be JSON is none. */
export async function answerOf(opened: Opened): Promise<Answer> {
  const { status, headers } = opened
  const body = parsed(await textOf(opened))
  const isJson = /\bjson\b/.test(headers.get('content-type') ?? '')
  if (isJson && status < 300 && typeof body !== 'object')
    throw new Error(`Cloud Storage answered ${status} with JSON that breaks off or is damaged`)
  return { status, headers, body }
}

/** Everything but a refusal passes: with no answer at all, the network is at fault. */
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

/** What the server says about an error, in its own words. */
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

/** Cuts a request that outlasts its limits or its caller's interest. */
function watchdog(signal: AbortSignal | undefined) {
  const cut = new AbortController()
  const abort = () => cut.abort(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
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
      signal?.removeEventListener('abort', abort)
      if (reason !== undefined) cut.abort(reason)
    },
  }
}
