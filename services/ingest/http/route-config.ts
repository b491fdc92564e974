import type { Registry } from '#shared/assets/registry.ts'
import type { Catalogue } from '#shared/catalogue/jobs/jobs.ts'
import type { Config, Scope } from '#shared/frame/config.ts'
import type { Metrics } from '#shared/frame/telemetry/metrics.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import type { Access } from '../auth/access.ts'
import type { Redriving } from '../dead-letters/redrive.ts'
import type { Accepting } from '../jobs/submit-job.ts'
import type { Replacing } from '../masters/replaced.ts'
import type { Uploads } from '../masters/uploads.ts'
import type { Pace } from './bodies.ts'

/** What the routes are made of. */
export interface HttpDeps {
  readonly config: Pick<
    Config,
    | 'max_upload_mb'
    | 'rate_limit'
    | 'trusted_proxies'
    | 'proxy_hops'
    | 'max_bodies'
    | 'max_streams'
  >
  /** How slowly a body may come; a kilobyte a second unless told. */
  readonly slowest?: Pace
  readonly access: Access
  readonly accepting: Accepting
  readonly redriving: Redriving
  readonly replacing: Replacing
  readonly catalogue: Pick<
    Catalogue,
    | 'jobsOfRequest'
    | 'track'
    | 'trackHistory'
    | 'listTracks'
    | 'listedTrack'
    | 'changedTracks'
    | 'kpis'
    | 'board'
    | 'letters'
    | 'letter'
    | 'countLetters'
    | 'ping'
  >
  readonly registry: Registry
  readonly assets: StoreDriver
  readonly uploads: Uploads
  readonly metrics: Metrics
  /** Why jobs should go elsewhere: Pub/Sub does not answer, or the process has been told to go. */
  readonly unready: () => string | undefined
  /** Aborts when what is running has to be given up. */
  readonly aborting: AbortSignal
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Needs no token. Every address says either this or the scope that it needs. */
    public?: boolean
    scope?: Scope
    /** The content types of the bodies it takes, for the problem document. */
    takes?: readonly string[]
    /** Is not counted by the rate limit: what machines ask all the time, and the page itself. */
    unlimited?: boolean
    /** Takes bodies that are packed by gzip. */
    inflates?: boolean
  }
  interface FastifyRequest {
    /** Who asks, for the history: the name of a token, or whom the issuer of an identity token names. */
    caller: string
    /** Whether he may redrive and discard, and so see what others need not. */
    mayOperate: boolean
    /** Whose limits it counts toward: a token's, or an address's where there is none. */
    client: string
  }
}
