import type { Catalogue } from '#shared/catalogue/catalogue.ts'
import type { Config } from '#shared/config.ts'
import type { Metrics } from '#shared/metrics.ts'
import type { Registry } from '#shared/registry.ts'
import type { StoreDriver } from '#shared/store/driver.ts'
import type { Uploads } from '../uploads.ts'
import type { Accepting } from './accepting.ts'

/** What the routes are made of. */
export interface HttpDeps {
  readonly config: Pick<Config, 'tokens' | 'max_upload_mb' | 'rate_limit'>
  readonly accepting: Accepting
  readonly catalogue: Pick<Catalogue, 'jobsOfRequest' | 'track' | 'trackHistory' | 'ping'>
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
    /** Needs no token. */
    public?: boolean
    /** The content types of the bodies it takes, for the problem document. */
    takes?: readonly string[]
  }
}
