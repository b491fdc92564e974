import { createHash, timingSafeEqual } from 'node:crypto'
import { ConfigError } from '#shared/contracts/errors/config.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { DEFAULT_TENANT, type Tenants, tenantNames } from '#shared/contracts/tenants.ts'
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
export const ANYBODY: Caller = {
  name: 'a user of this machine',
  scopes: SCOPES,
  tenant: undefined,
}

/**
 * Opens access for the bearer tokens of the configuration and the identity tokens of its issuer.
 * @throws ConfigError when one of them has a tenant that is not configured
 */
export function openAccess(
  { tokens, oidc, tenants }: Pick<Config, 'tokens' | 'oidc' | 'tenants'>,
  settings?: IdentitySettings,
): Access {
  checkTenants({ tokens, oidc }, tenants)
  const known = tokens.map((token) => {
    const { sha256, scopes, name, tenant } =
      typeof token === 'string'
        ? { sha256: token, scopes: SCOPES, name: undefined, tenant: undefined }
        : token
    const caller: Caller = {
      name: name ?? `the token ${sha256.slice(0, 8)}…`,
      scopes,
      tenant: tenant ?? DEFAULT_TENANT,
    }
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

/** @throws ConfigError that lists all of them */
function checkTenants(
  { tokens, oidc }: Pick<Config, 'tokens' | 'oidc'>,
  tenants: Tenants,
): void {
  const known = tenantNames(tenants)
  const { subjects = {}, emails = {} } = oidc
  const inTokens = tokens.map((token, index) => ({ at: `/${index}`, grant: token }))
  const inOidc = Object.entries({ subjects, emails }).flatMap(([kind, all]) =>
    Object.entries(all).map(([name, grant]) => ({ at: `/${kind}/${name}`, grant })),
  )
  const faultsOf = (variable: string, places: readonly { at: string; grant: unknown }[]) =>
    places.flatMap(({ at, grant }) => {
      const { tenant } = grant as { readonly tenant?: string }
      if (tenant === undefined || known.includes(tenant)) return []
      const wrong = `${at}/tenant must be one of TRACKCHAIN_TENANTS (${known.join(', ')}), got ${tenant}`
      return [{ variable, wrong }]
    })
  const faults = [
    ...faultsOf('TRACKCHAIN_TOKENS', inTokens),
    ...faultsOf('TRACKCHAIN_OIDC', inOidc),
  ]
  if (faults.length > 0) throw new ConfigError(faults)
}

/** The form of an identity token: three parts of base64url. */
const IDENTITY = /^[\w-]+\.[\w-]+\.[\w-]*$/
