import type { Registry } from '#shared/assets/registry.ts'
import type { Database } from '#shared/catalogue/database.ts'
import type { Config, Scope } from '#shared/frame/settings.ts'
import type { Metrics } from '#shared/frame/telemetry/metrics.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import type { Access } from '../auth/access.ts'
import type { Redriving } from '../dead-letters/redrive.ts'
import type { Accepting } from '../jobs/submit-job.ts'
import type { Replacing } from '../masters/replaced.ts'
import type { Uploads } from '../masters/uploads.ts'
import type { Pace } from './bodies.ts'

/** The dependencies of the routes. */
export interface HttpDeps {
  readonly config: Pick<
    Config,
    | 'max_upload_mib'
    | 'rate_limit_per_minute'
    | 'trusted_proxies'
    | 'proxy_hops'
    | 'max_bodies'
    | 'max_streams'
  >
  /** Minimum speed of a body. Default: a kilobyte a second. */
  readonly slowest?: Pace
  readonly access: Access
  readonly accepting: Accepting
  readonly redriving: Redriving
  readonly replacing: Replacing
  readonly database: Database
  readonly registry: Registry
  readonly assets: StoreDriver
  readonly uploads: Uploads
  readonly metrics: Metrics
  /**
   * The reason why jobs should go to another replica: Pub/Sub does not answer, or this process is stopping.
   * Otherwise undefined.
   */
  readonly unready: () => string | undefined
  /** Aborts when requests under way have to be given up. */
  readonly aborting: AbortSignal
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route needs no token. Every route declares either this or the scope that it needs. */
    public?: boolean
    scope?: Scope
    /** The content types of the bodies that the route accepts, for problem documents. */
    takes?: readonly string[]
    /** The rate limit does not count these requests. For the page itself, and for endpoints that machines poll. */
    unlimited?: boolean
    /** The route accepts bodies that are compressed by gzip. */
    inflates?: boolean
  }
  interface FastifyRequest {
    /** The caller's name for the history: the name of the token, or the name that the identity token carries. */
    caller: string
    /** Whether the caller may redrive and discard dead letters, and see what only operators may see. */
    mayOperate: boolean
    /** The client whose limits the request counts towards: a caller, or an address if there is no valid token. */
    client: string
  }
}
