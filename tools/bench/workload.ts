import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import type { HistoryEvent, HistoryPage } from '#shared/contracts/api/history.ts'
import { jobId } from '#shared/contracts/names.ts'
import { type Client, connect } from '../client/client.ts'
import { coresOf, type Pids, watchMemory } from '../local/process-usage.ts'
import type { Chain } from '../local/supervisor.ts'
import { listen, TOPICS } from './listen.ts'

/** What a job has cost in the whole chain. */
export interface Spent {
  /** Core time by process, `database` and `pubsub` included, ms. */
  readonly coreMs: Readonly<Record<string, number>>
  /** Peak memory of each process with its children, bytes. */
  readonly peakBytes: Readonly<Record<string, number>>
  /** From the first publish to the last event, ms. */
  readonly wallMs: number
  readonly events: readonly HistoryEvent[]
  /** Messages and their bytes by topic. */
  readonly messages: Readonly<
    Record<string, { readonly count: number; readonly bytes: number }>
  >
}

export interface Workload {
  /** Submits a job for each master, by track, and waits until all its events are recorded. */
  run(masters: Readonly<Record<string, string>>, assets: readonly string[]): Promise<Spent>
  close(): Promise<void>
}

const PATIENCE_MS = 1800_000
/** Time between two polls of the history, ms. Each costs the ingest service time, too. */
const EVERY_MS = 250
/** Time for clock ticks and batches of events that lag behind, ms. */
const SETTLE_MS = 600

/** Runs jobs through a chain, watches all its processes, and subscribes to all its topics. */
export async function workload(chain: Chain): Promise<Workload> {
  const client = connect(chain.url, new AbortController().signal)
  const bus = pubsubBus(chain.link)
  const messages: Record<string, { count: number; bytes: number }> = {}
  const ears = await Promise.all(
    TOPICS.map((topic) =>
      listen(bus, topic, ({ data, attributes }) => {
        const heard = messages[topic]
        if (heard === undefined) return
        heard.count++
        heard.bytes += data.length + Buffer.byteLength(JSON.stringify(attributes))
      }),
    ),
  )
  return {
    async run(masters, assets) {
      const pids = (): Pids => chain.pids()
      for (const topic of TOPICS) messages[topic] = { count: 0, bytes: 0 }
      const before = await coresOf(pids())
      const memory = watchMemory(pids)
      const began = performance.now()
      const jobs = Object.entries(masters).map(([asset_guid, master_uri]) => ({
        request_id: randomUUID(),
        asset_guid,
        derivative_assets: assets,
        master_uri,
      }))
      const sent = jobs.map((job) => {
        const data = Buffer.from(JSON.stringify(job))
        return bus.publish('ingest', { data, attributes: {} })
      })
      await Promise.all(sent)
      const events: HistoryEvent[] = []
      for (const job of jobs) {
        events.push(...(await history(client, job, began)))
      }
      const wallMs = performance.now() - began
      await sleep(SETTLE_MS)
      const peakBytes = await memory.stop()
      const coreMs = less(await coresOf(pids()), before)
      return { coreMs, peakBytes, wallMs, events, messages: structuredClone(messages) }
    },
    async close() {
      await Promise.all(ears.map((ear) => ear.close()))
      await bus.close()
    },
  }
}

/** The events of a job, once that of its publishing is among them. @throws when it is missing after half an hour. */
async function history(
  client: Client,
  job: { readonly request_id: string; readonly asset_guid: string },
  began: number,
): Promise<HistoryEvent[]> {
  const id = jobId(job.request_id, job.asset_guid)
  for (;;) {
    const all: HistoryEvent[] = []
    let next: string | null = `/v1/tracks/${job.asset_guid}/history?limit=1000`
    while (next !== null) {
      // The API does not know the track before its first event is recorded.
      const page: HistoryPage | undefined = await client
        .get<HistoryPage>(next)
        .catch(() => undefined)
      all.push(...(page?.events ?? []).filter((event) => event.job === id))
      next = page?.next ?? null
    }
    if (all.some(({ step }) => step === 'publish')) return all
    if (performance.now() - began > PATIENCE_MS)
      throw new Error(`${job.asset_guid} does not end`)
    await sleep(EVERY_MS)
  }
}

function less(after: Record<string, number>, before: Record<string, number>) {
  return Object.fromEntries(
    Object.entries(after).map(([name, ms]) => [name, ms - (before[name] ?? 0)]),
  )
}
