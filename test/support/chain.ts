import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { PubsubBus } from '#shared/bus/pubsub.ts'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { type Database, openDatabase } from '#shared/catalogue/database.ts'
import { type JobStatus, jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import { findTrack } from '#shared/catalogue/tracks/read-tracks.ts'
import { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import { Published } from '#shared/contracts/messages/published.ts'
import { ONE_MACHINE, topology } from '#shared/contracts/topology.ts'
import { configEnv, readConfig } from '#shared/frame/config.ts'
import { eventSink } from '#shared/frame/events.ts'
import type { Config } from '#shared/frame/settings.ts'
import { send } from '#shared/frame/step.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { openStore } from '#shared/store/open.ts'
import { keepDeadLetters } from '../../services/publish/keep-dead-letters.ts'
import { type TestPostgres, testPostgres } from '../../tools/local/postgres/temporary.ts'
import { startPubsubServer } from '../../tools/local/pubsub/server.ts'
import { waitingOf } from './waiting.ts'

interface Letter {
  readonly body: string
  readonly attributes: Readonly<Record<string, string>>
}

/** Everything that the services of a chain need, and what they leave behind. */
export interface Surroundings {
  readonly folder: string
  readonly config: Config
  /** The same as environment variables. */
  readonly env: Readonly<Record<string, string>>
  readonly bus: PubsubBus
  readonly postgres: TestPostgres
  readonly database: Database
  /** What was announced, by track, copies included. */
  readonly published: ReadonlyMap<string, readonly Published[]>
  readonly letters: readonly Letter[]
  /** Puts a master where the template looks for it. */
  master(track: string, bytes: Uint8Array, extension?: string): Promise<void>
  submit(job: EncodeJob): Promise<void>
  /**
   * Whether every message on every subscription is acknowledged, but for as many. For the local Pub/Sub server only.
   * @param but default: none
   */
  isIdle(but?: number): Promise<boolean>
  store(which: 'assets' | 'scratch'): StoreDriver
  /** All that a job has left behind, less what names it: equal for equal masters. */
  outcome(track: string, requestId: string): Promise<unknown>
  close(): Promise<void>
}

/**
 * A Pub/Sub server (or another wire), a fresh database and file stores in a temporary folder.
 * @param options `keepsLetters`: false leaves the dead letters to `publish`, and `letters` empty;
 * `postgres`: a server that the test takes away, and that is ended with the rest
 */
export async function surroundings(
  settings: Partial<Config> = {},
  {
    wire,
    keepsLetters = true,
    postgres: given,
  }: { wire?: string; keepsLetters?: boolean; postgres?: TestPostgres } = {},
): Promise<Surroundings> {
  const folder = await mkdtemp(join(tmpdir(), 'trackchain-chain-'))
  const at = (name: string) => `file://${join(folder, name)}`
  for (const name of ['masters', 'assets', 'scratch', 'uploads'])
    await mkdir(join(folder, name))
  const postgres = given ?? (await testPostgres())
  const queue = join(folder, 'pubsub.sqlite')
  const server =
    wire === undefined ? await startPubsubServer({ port: 0, file: queue }) : undefined
  const env = configEnv({
    project: 'trackchain-test',
    pubsub: wire ?? `127.0.0.1:${server?.port}`,
    database: await postgres.database(),
    assets: at('assets'),
    scratch: at('scratch'),
    uploads: at('uploads'),
    master_wait_seconds: 1,
    derivatives: new URL('derivatives', import.meta.url).pathname,
    routes: {
      cloud: {
        templates: [`${at('masters')}/{asset_guid}.wav`],
        prefixes: [],
        core_slowdown: 1,
      },
    },
    ...settings,
  })
  const config = readConfig(env)
  const bus = pubsubBus({ projectId: config.project, endpoint: config.pubsub })
  await bus.ensure(
    topology(Object.keys(config.routes), { ...ONE_MACHINE, minSeconds: 0.1, maxSeconds: 1 }),
  )
  const database = openDatabase({ dsn: config.database })
  await migrate(database)

  const published = new Map<string, Published[]>()
  const letters: Letter[] = []
  const onError = () => {}
  const hearing = { concurrency: 10, longestMs: 5000, onError }
  const log = createLog('letters', 'fatal')
  const keep = keepDeadLetters({ database, events: eventSink(bus), log })
  const ears = [
    bus.subscribe('published', hearing, async ({ data }) => {
      const message = Published.parse(data)
      const before = published.get(message.asset_guid) ?? []
      published.set(message.asset_guid, [...before, message])
      return 'ack'
    }),
  ]
  // Two subscribers would get half of the letters each.
  if (keepsLetters) {
    ears.push(
      bus.subscribe('dead-letter', hearing, async (delivery) => {
        const { data, attributes } = delivery
        letters.push({ body: data.toString(), attributes })
        return keep(delivery)
      }),
    )
  }

  return {
    ...{ folder, config, env, bus, postgres, database, published, letters },
    master: (track, bytes, extension = 'wav') =>
      writeFile(join(folder, 'masters', `${track}.${extension}`), bytes),
    store: (which) => openStore(config[which]),
    async submit(job) {
      const { topic, data, attributes } = send('ingest', EncodeJob, job)
      await bus.publish(topic, { data, attributes })
    },
    async isIdle(but = 0) {
      const waiting = Object.values(await waitingOf(queue))
      return waiting.reduce((sum, each) => sum + each, 0) === but
    },
    async outcome(track, requestId) {
      const [status] = await jobsOfRequest(database, requestId)
      const row = await findTrack(database, track)
      const messages = published.get(track) ?? []
      return {
        state: status?.state,
        verdicts: verdictsOf(status),
        rows: (row?.assets ?? []).map(({ asset, version, state }) => ({
          asset,
          version,
          state,
        })),
        files: await filesBelow(join(folder, 'assets', 'assets', track)),
        // A crash between the message and its commit may leave a copy, always under the same id.
        announced: new Set(messages.map(({ id }) => id)).size,
        message: messages.map(({ id, request_id, ...rest }) => neutral(rest, track, folder))[0],
        letters: new Set(
          letters
            .filter(({ body }) => body.includes(`"${track}"`))
            .map(({ attributes }) => attributes.dead_letter_code),
        ),
      }
    },
    async close() {
      await Promise.all(ears.map((ear) => ear.close()))
      await bus.close()
      await database.close()
      await server?.close()
      await postgres.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export { until } from './patience.ts'

export async function filesBelow(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const entry of await readdir(folder, { recursive: true }).catch(() => [])) {
    const file = join(folder, entry)
    // What a crash leaves of a write that had not ended; nobody sees it, and it is swept.
    if (basename(file).startsWith('.~')) continue
    const bytes = await contentOf(file)
    if (bytes === undefined) continue
    const name = entry.replace(/^[fx][0-9a-f]{16,}/, 'REVISION')
    found[name] = bytes.toString('base64')
  }
  return found
}

/** Undefined for a folder, and for what is being removed while it is looked at. */
async function contentOf(path: string): Promise<Buffer | undefined> {
  try {
    return (await stat(path)).isFile() ? await readFile(path) : undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function verdictsOf(status: JobStatus | undefined) {
  return Object.fromEntries(
    Object.entries(status?.assets ?? {}).map(([id, verdict]) => {
      const code = verdict?.state === 'failed' ? verdict.code : undefined
      return [id, { state: verdict?.state, version: verdict?.version, code }]
    }),
  )
}

function neutral(value: unknown, track: string, folder: string): unknown {
  const text = JSON.stringify(value).replaceAll(folder, '').replaceAll(track, 'TRACK')
  return JSON.parse(
    text
      .replaceAll(/\/[fx][0-9a-f]{16,}\//g, '/REVISION/')
      .replaceAll(/"[fx][0-9a-f]{16,}"/g, '"REVISION"'),
  )
}
