import { configuredRegistry } from '#shared/assets/registry.ts'
import { retry } from '#shared/async/retry.ts'
import type { SubscribeOptions } from '#shared/bus/bus.ts'
import { type Database, openDatabase } from '#shared/catalogue/database.ts'
import { migrateBatches, type Progress } from '#shared/catalogue/schema/batches.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import { watchedDatabase } from '#shared/catalogue/watched-database.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { LANES } from '#shared/contracts/lanes.ts'
import { HARD_LIMIT_MS } from '#shared/contracts/stages.ts'
import { DEAD_LETTER_TOPIC, publishTopic } from '#shared/contracts/topology.ts'
import { repeat } from '#shared/frame/repeat.ts'
import { service, WAITING_STEPS } from '#shared/frame/service.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import { workOnCampaigns } from './campaigns/work.ts'
import { commitMetrics, requeuing } from './commit-metrics.ts'
import { endRowsOnce } from './end-cancelled.ts'
import { eventRecorder, eventsHandler } from './event-recorder.ts'
import { keepDeadLetters } from './keep-dead-letters.ts'
import { callBackOnce } from './relay-callbacks.ts'
import { releaseOnce } from './release-waiting.ts'
import { forgetOld } from './retention.ts'
import { runRecorder } from './run-recorder.ts'
import { publishStep } from './step.ts'
import { sweepOnce } from './watchdog.ts'

/**
 * Maximum time between two sweeps of the watchdog, ms. If `watchdog_after_seconds` is shorter, sweeps are as frequent
 * as that.
 */
const WATCHDOG_EVERY_MS = 60_000
const WATCHDOG_OFTEN_MS = 1_000
const FORGET_EVERY_MS = 3600_000
const MIGRATE_AGAIN_MS = 1_000
const SAY_EVERY_MS = 10_000
/** Maximum number of letters handled concurrently. A letter may be as large as the largest message. */
const LETTERS_AT_ONCE = 10

await service('publish', async (service) => {
  const { assets, bus, closeFirst, concurrency, config, consume, events, lifecycle, log } =
    service
  const { metrics } = service
  const registry = await configuredRegistry(config)
  const additions = commitMetrics(metrics, [...registry.keys()])
  const opened = openDatabase({ dsn: config.database })
  lifecycle.onClose('database', () => opened.close())
  const database = watchedDatabase(opened, service.breaker.upstream('database'))
  await migrated(database, lifecycle.stopping)
  const { stopping } = lifecycle
  const { routes, uploads, tenants } = config
  const settings = { registry, routes, uploads, tenants }
  const campaigns = { database, bus, log, stopping, settings, locate: service.locate }
  // While the service runs: those over big tables take minutes or hours. Campaigns need all of them.
  const working = inBatches(database, log, stopping).then(() =>
    workOnCampaigns({ ...campaigns, weightOf: (tenant) => tenants[tenant]?.weight ?? 1 }),
  )
  lifecycle.onClose('campaigns', () => working)

  const step = publishStep({ ...runRecorder(database, additions), assets })
  for (const lane of LANES)
    consume(publishTopic(lane), step, { concurrency: concurrency(WAITING_STEPS), lane })

  const record = eventRecorder(database, additions)
  const hearing = (subscription: string, concurrency: number): SubscribeOptions => ({
    concurrency,
    longestMs: HARD_LIMIT_MS,
    onError: (error) => log.warn({ err: error, subscription }, 'the link to Pub/Sub'),
  })
  closeFirst(
    bus.subscribe(
      'events',
      hearing('events', WAITING_STEPS),
      requeuing('recorder', metrics, eventsHandler({ bus, record, log })),
    ),
  )
  closeFirst(
    bus.subscribe(
      DEAD_LETTER_TOPIC,
      hearing(DEAD_LETTER_TOPIC, LETTERS_AT_ONCE),
      requeuing('dead-letter', metrics, keepDeadLetters({ database, events, log, additions })),
    ),
  )

  const afterMs = Math.max(WATCHDOG_OFTEN_MS, 1000 * config.watchdog_after_seconds)
  const watch = setInterval(
    () => {
      sweepOnce({ bus, events, database, metrics }, config.watchdog_after_seconds).catch(
        (error) => log.warn({ error: sentence(error) }, 'the watchdog could not look'),
      )
    },
    Math.min(WATCHDOG_EVERY_MS, afterMs),
  )
  lifecycle.onClose('watchdog', async () => clearInterval(watch))

  const ending = repeat('rows of cancelled jobs could not be ended', { stopping, log }, () =>
    endRowsOnce(database, stopping).then(() => false),
  )
  lifecycle.onClose('cancelled rows', () => ending)
  const releasing = repeat('jobs could not be released', { stopping, log }, () =>
    releaseOnce({ database, bus, events, tenants }, stopping).then(() => false),
  )
  lifecycle.onClose('waiting jobs', () => releasing)

  const calling = repeat('callbacks could not be sent', { stopping, log }, () =>
    callBackOnce({ database, bus }, 1000 * config.callback_quiet_seconds, stopping),
  )
  lifecycle.onClose('callbacks', () => calling)

  const old = { database, days: config.event_retention_days, log }
  // Also at the start: if processes are replaced often, none may live for an hour.
  forgetOld(old, lifecycle.stopping)
  const forget = setInterval(() => forgetOld(old, lifecycle.stopping), FORGET_EVERY_MS)
  lifecycle.onClose('retention', async () => clearInterval(forget))
})

/** Carries on with migrations that go in batches, and says every ten seconds how far they are. */
async function inBatches(database: Database, log: Log, stopping: AbortSignal): Promise<void> {
  let saidAt = Number.NEGATIVE_INFINITY
  const said = ({ name, rows, all }: Progress) => {
    if (performance.now() - saidAt < SAY_EVERY_MS) return
    saidAt = performance.now()
    log.info({ migration: name, rows, all }, 'a migration goes on')
  }
  const pace = {
    firstMs: MIGRATE_AGAIN_MS,
    mostMs: 60 * MIGRATE_AGAIN_MS,
    signal: stopping,
    onRetry: (error: unknown) => {
      log.warn({ error: sentence(error) }, 'a migration in batches was interrupted')
      return undefined
    },
  }
  await retry(() => migrateBatches(database, { signal: stopping, said }), pace).catch(() => {})
}

/** Runs the migrations. Retries until the database answers or the process stops. */
async function migrated(database: Database, stopping: AbortSignal): Promise<void> {
  const pace = { firstMs: MIGRATE_AGAIN_MS, mostMs: MIGRATE_AGAIN_MS, signal: stopping }
  await retry(() => migrate(database, stopping), pace).catch(() => {})
}
