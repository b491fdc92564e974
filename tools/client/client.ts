import { openAsBlob } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** The public API, as anybody may use it. */
export interface Client {
  /** Uploads the file at `path` as the master of a track. */
  upload(guid: string, path: string): Promise<void>
  /** @returns the request's id. */
  submit(job: { readonly asset_guid: string }): Promise<string>
  /** Jobs, one a line. @returns a line for each, as far as the answer goes. */
  submitLines(lines: string): Promise<string>
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
  if (!response.ok) throw await refusal(response)
  return await response.bytes()
}

/** Why an answer is none, as its problem document says. */
export async function refusal(response: Response): Promise<Refused> {
  const text = await response.text()
  const problem = text.startsWith('{') ? JSON.parse(text) : undefined
  return new Refused(
    response.status,
    `${problem?.code ?? response.status}: ${problem?.detail ?? text.slice(0, 1000)}`,
  )
}

/** Whether a fault may be another matter in a moment: nobody answers, or not now. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof Refused)) return error instanceof TypeError
  return error.status >= 500 || error.status === 429
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
    const deadline = performance.now() + TRY_AGAIN_MS
    for (;;) {
      try {
        const headers = { ...authorization, ...(init.headers as Record<string, string>) }
        return await ask(url, path, { ...init, headers, signal })
      } catch (error) {
        if (signal.aborted || !isPassing(error) || performance.now() > deadline) throw error
        await sleep(500, undefined, { signal })
      }
    }
  }

  const post = (type: string, body: string) =>
    call('/v1/jobs', { method: 'POST', headers: { 'content-type': type }, body })

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
      const accepted = await post('application/json', JSON.stringify(job))
      return json<{ request_id: string }>(accepted).request_id
    },
    submitLines: async (lines) =>
      Buffer.from(await post('application/x-ndjson', lines)).toString(),
    get: async (path) => json(await call(path)),
    bytes: (path) => call(path),
  }
}
