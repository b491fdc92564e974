import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { variableOf } from '#shared/frame/config.ts'

/** Environment variables; undefined takes one away. */
type Variables = Record<string, string | undefined>

/**
 * How the services of a chain are let in at its own HTTP API, which they ask for cancellations. Where the API wants
 * tokens, they get one of their own, new at each start, which may read and nothing else.
 * @returns the variables of ingest, and those of the others
 */
export function doorToken(env: NodeJS.ProcessEnv = process.env): {
  readonly ingest: Variables
  readonly others: Variables
} {
  const [tokens, oidc, own] = ['tokens', 'oidc', 'ingest_token'].map(variableOf) as [
    string,
    string,
    string,
  ]
  const isSet = (name: string) => env[name] !== undefined || env[`${name}_FILE`] !== undefined
  if (isSet(own) || !(isSet(tokens) || isSet(oidc))) return { ingest: {}, others: {} }
  const known = listIn(textOf(tokens, env))
  // Faulty ones are left as they are: ingest says what is wrong with them.
  if (known === undefined) return { ingest: {}, others: {} }
  const token = randomBytes(32).toString('base64url')
  const sha256 = createHash('sha256').update(token).digest('hex')
  const all = [...known, { sha256, scopes: ['read'], name: "the chain's services" }]
  return {
    ingest: { [tokens]: JSON.stringify(all), [`${tokens}_FILE`]: undefined },
    others: { [own]: token },
  }
}

function textOf(variable: string, env: NodeJS.ProcessEnv): string {
  const file = env[`${variable}_FILE`]
  if (file === undefined) return env[variable] ?? '[]'
  try {
    return env[variable] === undefined ? readFileSync(file, 'utf8') : ''
  } catch {
    return ''
  }
}

function listIn(text: string): readonly unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}
