import { openAsBlob } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** The public API, as anybody may use it. */
export interface Client {
  /** Uploads the file at `path` as the master of a track. */
  upload(guid: string, path: string): Promise<void>
  /** @returns the request's id. */
  submit(job: { readonly asset_guid: string }): Promise<string>
  get<T>(path: string): Promise<T>
  /** The file at `path`. */
  bytes(path: string): Promise<Uint8Array>
  /** Aborts when nobody wants to know any more. */
  readonly signal: AbortSignal
}

/** What the API refused, with its reason. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** One request, tried once: the bytes of the answer. @throws Refused; TypeError when nobody answers. */
export async function ask(url: string, path: string, init: RequestInit): Promise<Uint8Array> {
  const response = await fetch(`${url}${path}`, init)
  const bytes = await response.bytes()
  if (response.ok) return bytes
  const text = Buffer.from(bytes).toString()
  const problem = text.startsWith('{') ? JSON.parse(text) : undefined
  throw new Refused(
    response.status,
    `${problem?.code ?? response.status}: ${problem?.detail ?? text.slice(0, 1000)}`,
  )
}

/** The JSON of an answer. */
export function json<T>(bytes: Uint8Array): T {
  return JSON.parse(Buffer.from(bytes).toString()) as T
}

/** A service that died is back within seconds: a connection that is refused is tried again, ms. */
const TRY_AGAIN_MS = 30_000

export function connect(url: string, signal: AbortSignal, token?: string): Client {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` }

  async function call(path: string, init: RequestInit = {}): Promise<Uint8Array> {
    const deadline = Date.now() + TRY_AGAIN_MS
    for (;;) {
      try {
        const headers = { ...authorization, ...(init.headers as Record<string, string>) }
        return await ask(url, path, { ...init, headers, signal })
      } catch (error) {
        const isPassing = !(error instanceof Refused) || error.status >= 500
        if (signal.aborted || !isPassing || Date.now() > deadline) throw error
        await sleep(500, undefined, { signal })
      }
    }
  }

  return {
    signal,
    async upload(guid, path) {
      // A Blob of a file is read as it is sent, and has a length to announce.
      await call(`/v1/masters/${encodeURIComponent(guid)}`, {
        method: 'PUT',
        body: await openAsBlob(path),
      })
    },
    async submit(job) {
      const accepted = await call('/v1/jobs', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(job),
      })
      return json<{ request_id: string }>(accepted).request_id
    },
    get: async (path) => json(await call(path)),
    bytes: (path) => call(path),
  }
}
