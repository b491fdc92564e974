import { type Static, Type } from 'typebox'

/** The pattern of a tenant's name. */
export const TENANT_PATTERN = '^[a-z0-9][a-z0-9-]{0,31}$'
/** The tenant of a job that names none. It is always known, and its messages carry no `tenant`. */
export const DEFAULT_TENANT = 'default'

/** The schema of a tenant's name. */
export function TenantName(description: string) {
  return Type.String({ pattern: TENANT_PATTERN, description })
}

/** What the setting `tenants` says of one. */
export const Tenant = Type.Object(
  {
    /** Its share of what campaigns release, beside those of the other tenants that have work. Default: 1. */
    weight: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1000 })),
    /** How many jobs of the lanes urgent and new it may have open; more of them wait. Absent: any number. */
    quota: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  },
  { additionalProperties: false },
)
export type Tenant = Static<typeof Tenant>

/** The tenants of a deployment, by name. */
export type Tenants = Readonly<Record<string, Tenant>>

/** The tenant of a message: all messages of a run have its request. */
export function tenantOf({
  request,
}: {
  readonly request: { readonly tenant?: string | undefined }
}): string {
  return request.tenant ?? DEFAULT_TENANT
}

/** The names of the known tenants, the default one first. */
export function tenantNames(tenants: Tenants): readonly string[] {
  const others = Object.keys(tenants).filter((name) => name !== DEFAULT_TENANT)
  return [DEFAULT_TENANT, ...others]
}
