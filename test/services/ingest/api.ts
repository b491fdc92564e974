import { createHash, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { loadRegistry } from '#shared/assets/registry.ts'
import { type PubsubBus, pubsubBus } from '#shared/bus/pubsub.ts'
import { type Database, openDatabase } from '#shared/catalogue/database.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import { ONE_MACHINE, topology } from '#shared/contracts/topology.ts'
import { type EventSink, eventSink } from '#shared/frame/events.ts'
import type { Config } from '#shared/frame/settings.ts'
import { createLog, type Log } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { openStore } from '#shared/store/open.ts'
import { createApp } from '../../../services/ingest/app.ts'
import { openAccess } from '../../../services/ingest/auth/access.ts'
import type { IdentitySettings } from '../../../services/ingest/auth/identity.ts'
import { campaignActions } from '../../../services/ingest/campaigns/actions.ts'
import { cancelling } from '../../../services/ingest/cancel/cancelling.ts'
import { cancellationFeed } from '../../../services/ingest/cancel/feed.ts'
import { letterActions } from '../../../services/ingest/dead-letters/redrive.ts'
import type { BodySpeed } from '../../../services/ingest/http/bodies.ts'
import { requestConflicts } from '../../../services/ingest/jobs/conflicts.ts'
import { tenantQuotas } from '../../../services/ingest/jobs/quotas.ts'
import { jobRecorder } from '../../../services/ingest/jobs/record-job.ts'
import { submissions } from '../../../services/ingest/jobs/submit-job.ts'
import { openUploads } from '../../../services/ingest/masters/open-uploads.ts'
import { replacements } from '../../../services/ingest/masters/replacements.ts'
import { linkSigner } from '../../../services/ingest/tracks/link-signer.ts'
import { testPostgres } from '../../../tools/local/postgres/temporary.ts'
import { type PubsubServer, startPubsubServer } from '../../../tools/local/pubsub/server.ts'
import { patient, until as untilHolds } from '../../support/patience.ts'
import { describedResponses } from './described.ts'

interface Api {
  readonly url: string
  readonly port: number
  readonly folder: string
  readonly uploads: string
  readonly assets: StoreDriver
  readonly database: Database
  readonly bus: PubsubBus
  readonly pubsub: PubsubServer
  readonly dsn: string
  /** The bodies and attributes of what arrives on a subscription from now on. */
  received(subscription: string): { readonly all: Message[]; close(): Promise<void> }
  /** Another replica on the same stores, with other settings. */
  replica(settings?: Settings): Promise<{ url: string; port: number; close(): Promise<void> }>
  close(): Promise<void>
}

interface Message {
  readonly body: Record<string, unknown>
  readonly attributes: Readonly<Record<string, string>>
}

interface Settings {
  readonly tokens?: Config['tokens']
  readonly oidc?: Config['oidc']
  readonly tenants?: Config['tenants']
  readonly identity?: IdentitySettings
  readonly log?: Log
  readonly rate_limit_per_minute?: number
  readonly trusted_proxies?: Config['trusted_proxies']
  readonly proxy_hops?: number
  readonly max_bodies?: number
  readonly max_streams?: number
  readonly slowest?: BodySpeed
  readonly max_upload_mib?: number
  readonly dsn?: string
  readonly events?: EventSink
  readonly unready?: () => string | undefined
  /** Another uploads store. */
  readonly uploads?: string
  readonly storage?: string
  readonly cors_origins?: string[]
  readonly link_keys?: readonly string[]
  /** Another assets store. */
  readonly assets?: StoreDriver
}

/** The HTTP API on a real port, with the real local Pub/Sub server, PostgreSQL and file stores behind it. */
export async function startApi(settings: Settings = {}): Promise<Api> {
  const folder = await mkdtemp(join(tmpdir(), 'trackchain-test-'))
  const postgres = await testPostgres()
  const dsn = await postgres.database()
  const pubsub = await startPubsubServer({ port: 0, file: join(folder, 'queue.db') })
  const bus = pubsubBus({ projectId: 'test', endpoint: `127.0.0.1:${pubsub.port}` })
  await bus.ensure(topology(['cloud', 'onprem-a'], ONE_MACHINE))
  const uploads = pathToFileURL(join(folder, 'uploads')).href
  const assets = openStore(pathToFileURL(join(folder, 'assets')).href)
  const registry = await loadRegistry()
  const database = openDatabase({ dsn, poolSize: 4 })
  await migrate(database)
  const log = createLog('test', 'fatal')
  const metrics = createMetrics('test')
  const opened: { close(): Promise<unknown> }[] = []
  const checked: ReadonlySet<string>[] = []

  async function replica(given: Settings = settings) {
    const { tokens = [], rate_limit_per_minute = 0, max_upload_mib = 64, slowest } = given
    const { trusted_proxies = [], proxy_hops = 1, max_bodies = 512, max_streams = 512 } = given
    const { tenants = {}, cors_origins = [], link_keys = ['0'.repeat(32)] } = given
    const { oidc = { issuer: '', audience: '' }, events = eventSink(bus) } = given
    const rows = given.dsn === undefined ? database : openDatabase({ dsn: given.dsn })
    const uploadsUri = given.uploads ?? uploads
    const gcs = given.storage === undefined ? {} : { apiEndpoint: given.storage }
    const routes = {
      cloud: { templates: [], prefixes: ['file:///mnt/masters'], core_slowdown: 1 },
      'onprem-a': { templates: [], prefixes: ['file:///mnt/onprem'], core_slowdown: 1 },
    }
    const aborting = new AbortController()
    const uploadsStore = openStore(uploadsUri, gcs)
    const uploadsThere = openUploads(uploadsStore)
    const cancellations = cancellationFeed(rows)
    const campaigns = campaignActions({
      ...{ database: rows, registry, routes, tenants, uploads: uploadsStore },
      ...{ onCancelled: cancellations.look, aborting: aborting.signal },
    })
    const app = await createApp(
      {
        config: {
          ...{ rate_limit_per_minute, max_upload_mib, trusted_proxies, proxy_hops },
          ...{ max_bodies, max_streams, cors_origins },
        },
        ...(slowest ? { slowest } : {}),
        access: openAccess({ tokens, oidc, tenants }, given.identity),
        letterActions: letterActions({ bus, events, database: rows }),
        campaigns,
        cancelling: cancelling(rows, cancellations.look),
        cancellations,
        submissions: submissions({
          settings: { registry, routes, tenants, uploads: uploadsUri },
          bus,
          events,
          recordJob: jobRecorder(rows, log),
          conflicts: requestConflicts(rows, log),
          quotas: tenantQuotas(rows, tenants, log, patient(1000)),
          metrics,
        }),
        database: rows,
        ...{ registry, metrics },
        assets: given.assets ?? assets,
        links: linkSigner(link_keys),
        uploads: uploadsThere,
        replacements: replacements(uploadsThere, events),
        unready: given.unready ?? (() => undefined),
        aborting: aborting.signal,
      },
      given.log ?? log,
    )
    checked.push(describedResponses(app))
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const close = async () => {
      aborting.abort(new Error('the test is over'))
      await app.close()
      if (rows !== database) await rows.close()
    }
    const made = { url, port: Number(new URL(url).port), close }
    opened.push(made)
    return made
  }

  const { url, port } = await replica()
  return {
    ...{
      url,
      port,
      folder,
      uploads: join(folder, 'uploads'),
      assets,
      database,
      bus,
      pubsub,
      dsn,
    },
    replica,
    received(subscription) {
      const all: Message[] = []
      const options = { concurrency: 50, longestMs: 5000, onError: () => {} }
      const subscriber = bus.subscribe(subscription, options, async ({ data, attributes }) => {
        all.push({ body: JSON.parse(data.toString('utf8')), attributes })
        return 'ack'
      })
      const closer = { all, close: () => subscriber.close() }
      opened.unshift(closer)
      return closer
    },
    async close() {
      for (const each of opened.reverse()) await each.close()
      await bus.close()
      await database.close()
      await pubsub.close()
      await postgres.stop()
      await rm(folder, { recursive: true, force: true })
      const faults = new Set(checked.flatMap((each) => [...each]))
      if (faults.size > 0) throw new Error([...faults].join('\n'))
    },
  }
}

/** Sends bytes and returns the answer as text, until the server ends the connection or `ms` have passed. */
export async function raw(
  port: number,
  bytes: string | Buffer,
  { end = false, ms = 5000 } = {},
): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  const chunks: Buffer[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.on('error', () => resolve())
  socket.on('close', () => resolve())
  socket.write(bytes)
  if (end) socket.end()
  const timer = setTimeout(resolve, ms)
  await promise
  clearTimeout(timer)
  socket.destroy()
  return Buffer.concat(chunks).toString('utf8')
}

/** Waits until `look` returns a value, or fails with `what`. */
export async function until<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  try {
    return (await untilHolds(look, 10_000)) as T
  } catch (error) {
    throw new Error(`waited in vain for ${what}`, { cause: error })
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** A job that would be accepted. */
export function aJob(more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    request_id: randomUUID(),
    asset_guid: 'track-1',
    derivative_assets: ['bpm'],
    ...more,
  }
}

/** POSTs a value as JSON, or a text or bytes as they are. */
export function post(url: string, body: unknown, headers: Record<string, string> = {}) {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
  })
}

/** The body of any response. The caller knows which of the fields it has. */
export interface AnyBody {
  readonly status: number
  readonly job: string
  readonly request_id: string
  readonly asset_guid: string
  readonly href: string
  readonly route: string
  readonly derivative_assets: readonly string[]
  readonly results: readonly unknown[]
  readonly jobs: readonly { readonly asset_guid: string }[]
  readonly sha256: string
  readonly master_uri: string
  readonly url: string
}

export async function bodyOf(response: Response | Promise<Response>): Promise<AnyBody> {
  return (await (await response).json()) as AnyBody
}
