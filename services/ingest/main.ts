import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { configuredRegistry } from '#shared/assets/registry.ts'
import { openDatabase } from '#shared/catalogue/database.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { type Service, service, WAITING_STEPS } from '#shared/frame/service.ts'
import type { Config } from '#shared/frame/settings.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { openStore } from '#shared/store/open.ts'
import { createApp } from './app.ts'
import { openAccess } from './auth/access.ts'
import { assertNotExposed } from './auth/guard.ts'
import { campaignActions } from './campaigns/actions.ts'
import { cancelling } from './cancel/cancelling.ts'
import { cancellationFeed } from './cancel/feed.ts'
import { letterActions } from './dead-letters/redrive.ts'
import { STATEMENT_MS } from './http/query.ts'
import { requestConflicts } from './jobs/conflicts.ts'
import { ingestStep } from './jobs/consume.ts'
import { tenantQuotas } from './jobs/quotas.ts'
import { jobRecorder } from './jobs/record-job.ts'
import { submissions } from './jobs/submit-job.ts'
import { openUploads } from './masters/open-uploads.ts'
import { replacements } from './masters/replacements.ts'
import { linkSigner } from './tracks/link-signer.ts'

/** Maximum time that the start waits for the migrations, ms. */
const MIGRATE_MS = 2000

await service('ingest', start, { health: false })

async function start(service: Service): Promise<void> {
  const { breaker, bus, concurrency, config, consume, events, lifecycle, log } = service
  const { metrics, tracing } = service
  const { stopping, aborting } = lifecycle
  const registry = await configuredRegistry(config)
  const access = openAccess(config)
  assertNotExposed(config, access)
  const database = openDatabase({ dsn: config.database, application: 'ingest' })
  lifecycle.onClose('database', () => database.close())
  // Connections of their own, so that slow reads do not keep jobs from being recorded.
  const reads = openDatabase({
    dsn: config.database,
    statementMs: STATEMENT_MS,
    application: 'ingest-reads',
  })
  lifecycle.onClose('database for reads', () => reads.close())
  const migrated = migrate(database, stopping).catch((error) => {
    log.warn({ error: sentence(error) }, 'the database could not be brought up to date')
  })
  // A short wait: jobs are accepted while the database is away, and other processes also run the migrations.
  await Promise.race([migrated, sleep(MIGRATE_MS, undefined, { ref: false })])
  const recordJob = jobRecorder(database, log)
  const { routes, uploads: uploadsUri, tenants } = config
  const settings = { routes, uploads: uploadsUri, tenants, registry }

  const { max_message_kib } = config
  const conflicts = requestConflicts(database, log)
  const quotas = tenantQuotas(database, tenants, log)
  const step = ingestStep({ ...settings, max_message_kib }, recordJob, conflicts, quotas)
  consume('ingest', step, { concurrency: concurrency(WAITING_STEPS) })

  const gcs = config.storage === '' ? {} : { apiEndpoint: config.storage }
  const uploadsStore = openStore(config.uploads, gcs)
  const uploads = openUploads(uploadsStore)
  // A store of its own: the breaker watches the store of the steps, and failing downloads must not stop the steps.
  const assets = openStore(config.assets, gcs)
  const cancellations = cancellationFeed(reads)
  const campaigns = campaignActions({
    ...{ database, registry, aborting, routes, tenants },
    uploads: uploadsStore,
    onCancelled: cancellations.look,
  })
  const app = await createApp(
    {
      config,
      access,
      letterActions: letterActions({ bus, events, database }),
      campaigns,
      cancelling: cancelling(database, cancellations.look),
      cancellations,
      submissions: submissions({
        settings,
        bus,
        events,
        recordJob,
        conflicts,
        quotas,
        metrics,
        tracing,
      }),
      database: reads,
      registry,
      metrics,
      aborting,
      assets,
      links: linkSigner(linkKeys(config, assets, log)),
      uploads,
      replacements: replacements(uploads, events),
      unready: () => (stopping.aborted ? 'stopping' : breaker.reason),
    },
    log,
  )
  // Closed first. After the drain time load balancers have noticed, no request is accepted any more, and
  // requests under way are answered while the bus is still open.
  lifecycle.onClose('http', async () => {
    await sleep(config.drain_seconds * 1000, undefined, { signal: aborting }).catch(() => {})
    await app.close()
  })
  await app.listen({ host: config.host, port: config.port })
}

/** The keys that sign addresses of assets: those of the configuration or, without any, one that ends with this process. */
function linkKeys(
  { link_keys }: Pick<Config, 'link_keys'>,
  assets: StoreDriver,
  log: Service['log'],
): readonly string[] {
  if (link_keys.length > 0) return link_keys
  if (assets.link === undefined) {
    log.warn(
      'TRACKCHAIN_LINK_KEYS is empty: links to assets are signed by a key of this start, and are valid at this replica until it ends',
    )
  }
  return [randomBytes(32).toString('base64url')]
}
