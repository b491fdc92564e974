import { setTimeout as sleep } from 'node:timers/promises'
import type { SubscribeOptions } from '#shared/bus/bus.ts'
import { openCatalogue } from '#shared/catalogue/catalogue.ts'
import { delivering } from '#shared/deliver.ts'
import { sentence } from '#shared/errors.ts'
import { EXIT_MS } from '#shared/lifecycle.ts'
import { HARD_LIMIT_MS } from '#shared/plan.ts'
import { service, WAITING_STEPS } from '#shared/service.ts'
import { openStore } from '#shared/store/open.ts'
import { createApp } from './app.ts'
import { ingestStep } from './consume.ts'
import { accepting } from './http/accepting.ts'
import { checkDoor } from './http/door.ts'
import { remembering } from './http/remember.ts'
import { openUploads } from './uploads.ts'

/** A fault of the link to Pub/Sub counts for so long, ms: it is tried again, and told of again, sooner. */
const FAULT_MS = 10_000

/** How long the start waits for the database, ms. */
const MIGRATE_MS = 2000

await service('ingest', async (service) => {
  const { assets, bus, closeFirst, concurrency, config, events, lifecycle, log, metrics } =
    service
  const { registry, scratch } = service
  checkDoor(config)
  const catalogue = openCatalogue({ dsn: config.database, application: 'ingest' })
  lifecycle.onClose('catalogue', () => catalogue.close())
  const migrated = catalogue.migrate(lifecycle.stopping).catch((error) => {
    log.warn({ error: sentence(error) }, 'the database could not be brought up to date')
  })
  // Not for long: jobs are taken while the database is away, and others bring the schema up to date, too.
  await Promise.race([migrated, sleep(MIGRATE_MS, undefined, { ref: false })])
  const remember = remembering(catalogue, log)
  const settings = { routes: config.routes, uploads: config.uploads, registry }

  let faultAt = -FAULT_MS
  const deps = { bus, events, assets, scratch, log, metrics, aborting: lifecycle.aborting }
  const options: SubscribeOptions = {
    concurrency: concurrency(WAITING_STEPS),
    prefetch: 50,
    longestMs: EXIT_MS + HARD_LIMIT_MS,
    onError: (error) => {
      faultAt = performance.now()
      log.warn({ err: error, subscription: 'ingest' }, 'the link to Pub/Sub')
    },
  }
  const step = ingestStep(settings, remember)
  closeFirst(bus.subscribe('ingest', options, delivering(step, deps)))

  const gcs = config.storage === '' ? {} : { apiEndpoint: config.storage }
  const app = await createApp(
    {
      config,
      accepting: accepting({ settings, bus, events, remember }),
      ...{ catalogue, registry, assets, metrics },
      uploads: openUploads(config.uploads, openStore(config.uploads, gcs)),
      isReady: () => !lifecycle.stopping.aborted && performance.now() - faultAt > FAULT_MS,
      aborting: lifecycle.aborting,
    },
    log,
  )
  // Closed first: no request is taken any more, those under way are answered while the bus is still there.
  lifecycle.onClose('http', () => app.close())
  await app.listen({ host: config.host, port: config.port })
  return { health: false }
})
