import { openAsBlob } from 'node:fs'
import { retry } from '#shared/async/retry.ts'
import type { Accepted } from '#shared/contracts/api/submission.ts'

/** A client of the public HTTP API. */
export interface Client {
  /** Uploads the file at `path` as the master of a track. */
  upload(guid: string, path: string): Promise<void>
  /** @returns the request's id. */
  submit(job: { readonly asset_guid: string }): Promise<string>
  /** Submits jobs, one JSON document a line. @returns a line for each; fewer when the response was cut off. */
  submitLines(lines: string): Promise<string>
  get<T>(path: string): Promise<T>
  /** Posts a JSON document, or lines of them as a string. */
  post<T>(path: string, body: object | string): Promise<T>
  /** The bytes of the file at `path`. */
  bytes(path: string): Promise<Uint8Array>
  /** Aborts when the caller needs no more responses. */
  readonly signal: AbortSignal
}

/** A request that the API refused, with its reason. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/**
 * Sends one request, once.
 * @returns the bytes of the response.
 * @throws Refused; TypeError when there is no response.
 */
export async function ask(url: string, path: string, init: RequestInit): Promise<Uint8Array> {
  const response = await fetch(`${url}${path}`, init)
  if (!response.ok) throw await refusal(response)
  return await response.bytes()
}

/** The refusal that a response's problem document describes. */
export async function refusal(response: Response): Promise<Refused> {
  const text = await response.text()
  const problem = text.startsWith('{') ? JSON.parse(text) : undefined
  return new Refused(
    response.status,
    `${problem?.code ?? response.status}: ${problem?.detail ?? text.slice(0, 1000)}`,
  )
}

/** Whether an error is transient: there was no response, or the status is one to retry. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof Refused)) return error instanceof TypeError
  return error.status >= 500 || error.status === 429
}

/** The JSON of a response. */
export function json<T>(bytes: Uint8Array): T {
  return JSON.parse(Buffer.from(bytes).toString()) as T
}

/** How long a request is retried after transient errors, ms: a service that died is back within seconds. */
const TRY_AGAIN_MS = 30_000
const EVERY_MS = 500

export function connect(url: string, signal: AbortSignal, token?: string): Client {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` }

  function call(path: string, init: RequestInit = {}): Promise<Uint8Array> {
    const headers = { ...authorization, ...(init.headers as Record<string, string>) }
    const act = () => ask(url, path, { ...init, headers, signal })
    const pace = { firstMs: EVERY_MS, mostMs: EVERY_MS, withinMs: TRY_AGAIN_MS }
    return retry(act, { ...pace, signal, isPassing })
  }

  const post = (path: string, type: string, body: string) =>
    call(path, { method: 'POST', headers: { 'content-type': type }, body })
  const [document, lines] = ['application/json', 'application/x-ndjson']

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
      const accepted = await post('/v1/jobs', document, JSON.stringify(job))
      return json<Accepted>(accepted).request_id
    },
    submitLines: async (text) => Buffer.from(await post('/v1/jobs', lines, text)).toString(),
    get: async (path) => json(await call(path)),
    post: async (path, body) =>
      json(
        await (typeof body === 'string'
          ? post(path, lines, body)
          : post(path, document, JSON.stringify(body))),
      ),
    bytes: (path) => call(path),
  }
}
