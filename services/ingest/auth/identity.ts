import type { errors, JWTPayload, JWTVerifyGetKey } from 'jose'
import { ConfigError } from '#shared/contracts/errors/config.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { DEFAULT_TENANT } from '#shared/contracts/tenants.ts'
import type { Config, Grant, Scope } from '#shared/frame/settings.ts'

/** The sender of a request. */
export interface Caller {
  /** The name under which the history records the caller. */
  readonly name: string
  readonly scopes: readonly Scope[]
  /** On whose account the caller's jobs are made; undefined: a job says its own. */
  readonly tenant: string | undefined
}

/** Times in which the issuer is not asked again, ms. Only tests change them. */
export interface IdentitySettings {
  /** After a fetch of the keys, for a token whose key is not among them, ms. Default: 30,000. */
  readonly cooldownMs?: number
  /** After a request that the issuer did not answer, ms. Default: 5,000. */
  readonly restMs?: number
}

/** The accepted signature algorithms. All are asymmetric, so that only the holder of the private key can sign. */
const ALGORITHMS = ['RS256', 'ES256']
/** Maximum difference between the issuer's clock and ours, seconds. */
const TOLERANCE_SECONDS = 30
const TIMEOUT_MS = 5_000
const COOLDOWN_MS = 30_000
const REST_MS = 5_000

/**
 * Verifies the identity tokens (OpenID Connect) of one issuer. The keys are fetched from the address in the
 * issuer's own discovery document, and cached. An address that is named in a token is never fetched.
 * @returns a function that resolves to the caller of a token. It throws HttpError UNAUTHORIZED for an
 * invalid token, and UPSTREAM_DOWN when the issuer's keys cannot be fetched
 */
export function identities(
  { issuer, audience, subjects = {}, emails = {} }: Config['oidc'],
  { cooldownMs = COOLDOWN_MS, restMs = REST_MS }: IdentitySettings = {},
): (token: string) => Promise<Caller> {
  // An empty audience would make jose accept any audience.
  if (audience === '') {
    const wrong = 'has an issuer but no audience'
    throw new ConfigError([{ variable: 'TRACKCHAIN_OIDC', wrong }])
  }
  const grantsByEmail = new Map(
    Object.entries(emails).map(([email, grant]) => [email.toLowerCase(), grant]),
  )
  let keys: Promise<JWTVerifyGetKey> | undefined
  let restUntil = 0

  async function fetched(url: string, init: RequestInit): Promise<Response> {
    if (performance.now() < restUntil) throw down('it did not answer a moment ago')
    try {
      const response = await fetch(url, init)
      if (response.status === 200) return response
      throw new Error(`${url} answers ${response.status}`)
    } catch (error) {
      restUntil = performance.now() + restMs
      throw down(sentence(error), error)
    }
  }

  function down(why: string, cause?: unknown): HttpError {
    return new HttpError(
      'UPSTREAM_DOWN',
      `The issuer ${issuer} does not give its keys: ${why}.`,
      { cause },
    )
  }

  async function discover() {
    const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const response = await fetched(url, { redirect: 'manual', signal })
    const document = (await response.json().catch(() => null)) as Discovery | null
    if (document?.issuer !== issuer) throw down(`${url} is not about that issuer`)
    const uri = document.jwks_uri
    if (!isSafe(uri, issuer)) throw down(`${url} names no safe jwks_uri`)
    const { createRemoteJWKSet, customFetch } = await jose()
    return createRemoteJWKSet(new URL(uri), {
      timeoutDuration: TIMEOUT_MS,
      cooldownDuration: cooldownMs,
      [customFetch]: fetched,
    })
  }

  async function verified(token: string): Promise<JWTPayload> {
    keys ??= discover()
    const known = await keys.catch((error) => {
      keys = undefined
      throw error
    })
    const { jwtVerify } = await jose()
    const { payload } = await jwtVerify(token, known, {
      issuer,
      audience,
      algorithms: ALGORITHMS,
      clockTolerance: TOLERANCE_SECONDS,
      requiredClaims: ['exp', 'sub'],
    })
    return payload
  }

  return async (token) => {
    try {
      const claims = await verified(token)
      const { sub = '' } = claims
      const email = emailOf(claims)
      const own = granted(Object.hasOwn(subjects, sub) ? subjects[sub] : undefined)
      const mailed = granted(email === undefined ? undefined : grantsByEmail.get(email))
      const scopes = new Set<Scope>([...own.scopes, ...mailed.scopes])
      const tenant = own.tenant ?? mailed.tenant ?? DEFAULT_TENANT
      return { name: email ?? sub, scopes: [...scopes], tenant }
    } catch (error) {
      const { errors } = await jose()
      if (!(error instanceof errors.JOSEError)) throw error
      if (isOfKeys(error, errors)) throw down(error.message, error)
      throw new HttpError('UNAUTHORIZED', `The identity token: ${error.message}.`, {
        at: 'header authorization',
        cause: error,
      })
    }
  }
}

function granted(grant: Grant = { scopes: [] }): {
  readonly scopes: readonly Scope[]
  readonly tenant?: string | undefined
} {
  return 'scopes' in grant ? grant : { scopes: grant }
}

interface Discovery {
  readonly issuer?: unknown
  readonly jwks_uri?: unknown
}

/** The library is loaded with the first token: a chain on one machine has no issuer, and it takes 40 ms of a start. */
function jose() {
  return import('jose')
}

/** Whether an error of jose concerns the key set and not the token. */
function isOfKeys(
  { code }: errors.JOSEError,
  { JOSEError, JWKSInvalid, JWKSTimeout }: typeof errors,
): boolean {
  return [JOSEError, JWKSInvalid, JWKSTimeout].some((kind) => kind.code === code)
}

/** The e-mail address of the claims, if the issuer has verified it. In lower case. */
function emailOf({ email, email_verified }: JWTPayload): string | undefined {
  return typeof email === 'string' && email_verified === true ? email.toLowerCase() : undefined
}

/**
 * Whether the keys may be fetched from this address: by TLS, or as the issuer itself if that is on this
 * machine.
 */
function isSafe(uri: unknown, issuer: string): uri is string {
  if (typeof uri !== 'string' || !URL.canParse(uri)) return false
  const { protocol, hostname } = new URL(uri)
  const own = new URL(issuer)
  return protocol === 'https:' || (protocol === own.protocol && hostname === own.hostname)
}
