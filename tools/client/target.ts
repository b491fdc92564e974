import { readFileSync } from 'node:fs'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { runningPort } from '../local/data-folder.ts'
import { pathFrom, UsageError } from '../terminal/usage.ts'
import { ask, json } from './client.ts'

/** The API to call, and the token to call it with. */
export interface Target {
  /** The URL of the API, without a slash at its end. */
  readonly url: string
  /** Bearer token. */
  readonly token: string | undefined
}

/** The flags of each command that calls the API. */
export const TARGET_FLAGS = {
  target: { type: 'string' },
  // The former name of --target.
  url: { type: 'string' },
  'token-file': { type: 'string' },
} as const

export const TARGET_HELP = `  --target URL     of the API; else TRACKCHAIN_TARGET of the environment; else the chain that runs in
                   ./trackchain-data; else http://127.0.0.1:8080
  --token-file F   a file with the bearer token; else TRACKCHAIN_TOKEN of the environment`

type Values = { readonly [flag in keyof typeof TARGET_FLAGS]?: string | undefined }

/** @throws UsageError that names the flag. */
export function targetOf(values: Values): Target {
  const given = values.target ?? values.url ?? process.env.TRACKCHAIN_TARGET?.trim()
  const url = (given || ownUrl()).replace(/\/+$/, '')
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new UsageError(`--target must be an address such as https://host, got ${given}.`)
  }
  const { username, password } = new URL(url)
  if (username !== '' || password !== '') {
    throw new UsageError('--target has a name or password in it; give a token by --token-file.')
  }
  return { url, token: tokenFrom(values['token-file']) }
}

export function authorization({ token }: Target): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}

/** Calls the API once: GET, or POST when there is a body. */
export type Api = <T>(path: string, body?: object) => Promise<T>

/** @returns a function that throws Refused, or an Error when the API does not answer. */
export function apiAt(target: Target): Api {
  const headers = { ...authorization(target), 'content-type': 'application/json' }
  return async (path, body) => {
    const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
    try {
      return json(await ask(target.url, path, { ...init, headers }))
    } catch (error) {
      throw explained(error, target)
    }
  }
}

/** An error of fetch with an explanation; any other error unchanged. */
export function explained(error: unknown, { url }: Target): unknown {
  if (!(error instanceof TypeError)) return error
  const why = sentence(error.cause ?? error)
  return new Error(`no response from ${url} (${why}). Check that the chain is running.`)
}

/**
 * The URL of the chain in ./trackchain-data. Only its port is read from there, so that no folder can send a token to
 * another host.
 */
function ownUrl(): string {
  return `http://127.0.0.1:${runningPort(pathFrom('trackchain-data')) ?? 8080}`
}

function tokenFrom(file: string | undefined): string | undefined {
  if (file === undefined) return process.env.TRACKCHAIN_TOKEN?.trim() || undefined
  try {
    return readFileSync(pathFrom(file), 'utf8').trim()
  } catch (error) {
    throw new UsageError(`--token-file: ${sentence(error)}.`)
  }
}
