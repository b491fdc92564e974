import { createHash, timingSafeEqual } from 'node:crypto'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { type Config, SCOPES } from '#shared/frame/settings.ts'
import { type Caller, type IdentitySettings, identities } from './identity.ts'

/** Decides which callers may use the API. */
export interface Access {
  /** False when neither tokens nor an issuer are configured: then every program on this machine has all scopes. */
  readonly isGuarded: boolean
  /**
   * The caller that a bearer token stands for.
   * @throws HttpError UNAUTHORIZED; UPSTREAM_DOWN when the issuer of identity tokens does not answer
   */
  callerOf(token: string): Promise<Caller>
}

/** The caller of every request where authentication is off. */
export const ANYBODY: Caller = { name: 'a user of this machine', scopes: SCOPES }

/** Opens access for the bearer tokens of the configuration and the identity tokens of its issuer. */
export function openAccess(
  { tokens, oidc }: Pick<Config, 'tokens' | 'oidc'>,
  settings?: IdentitySettings,
): Access {
  const known = tokens.map((token) => {
    const { sha256, scopes, name } =
      typeof token === 'string' ? { sha256: token, scopes: SCOPES, name: undefined } : token
    const caller: Caller = { name: name ?? `the token ${sha256.slice(0, 8)}…`, scopes }
    return { digest: Buffer.from(sha256, 'hex'), caller }
  })
  const issued = oidc.issuer === '' ? undefined : identities(oidc, settings)
  return {
    isGuarded: known.length > 0 || issued !== undefined,
    async callerOf(token) {
      const digest = createHash('sha256').update(token).digest()
      // All digests are compared, so that the time taken reveals nothing.
      const [found] = known.filter((each) => timingSafeEqual(each.digest, digest))
      if (found !== undefined) return found.caller
      if (issued !== undefined && IDENTITY.test(token)) return issued(token)
      throw new HttpError('UNAUTHORIZED', 'The bearer token is not one of those configured.', {
        at: 'header authorization',
      })
    },
  }
}

/** The form of an identity token: three parts of base64url. */
const IDENTITY = /^[\w-]+\.[\w-]+\.[\w-]*$/
