import { createWriteStream } from 'node:fs'
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { wavPart } from '#shared/audio/wav-part.ts'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import type { Lane } from '#shared/contracts/lanes.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { type Client, connect } from '../client/client.ts'
import { type Chain, startChain } from '../local/supervisor.ts'
import { clubTrack, interleaved } from '../local/synth.ts'
import { hearAnnounced } from './listen.ts'

/** A whole chain for benchmarks of lanes and campaigns. */
interface LaneChain {
  readonly chain: Chain
  readonly client: Client
  /** A folder that the chain may read. */
  readonly folder: string
  /** The masters of the folder that was named, as URIs; else one, for all tracks. */
  readonly masters: readonly string[]
  /** When each track was announced, `performance.now()`. */
  readonly announced: ReadonlyMap<string, number>
  /** Submits jobs one after the other. @returns the times from the POST to the announcement, ms, sorted */
  oneByOne(jobs: readonly LaneJob[]): Promise<number[]>
  close(): Promise<void>
}

interface LaneJob {
  readonly asset_guid: string
  readonly master_uri: string
  readonly derivative_assets: readonly string[]
  readonly lane: Lane
}

/** Assets that compute nothing. */
export const NOTHING = ['nothing-analyzed', 'nothing-encoded']

/** A folder for a chain that is started more than once on the same data. */
export async function laneFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'trackchain-lanes-'))
  // The database may run as another user.
  await chmod(folder, 0o755)
  return folder
}

/**
 * Starts one.
 * @param of.masters a folder of masters; undefined: what is asked for computes nothing
 * @param of.pubsub another Pub/Sub server than ours
 * @param of.folder what `laneFolder` returned; undefined: one of its own, which is removed on `close`
 * @param of.derivatives a folder of derivatives; undefined: those that compute nothing
 */
export async function laneChain({
  masters,
  pubsub,
  folder: kept,
  derivatives = new URL('derivatives', import.meta.url).pathname,
}: {
  readonly masters: string | undefined
  readonly pubsub?: string | undefined
  readonly folder?: string
  readonly derivatives?: string
}): Promise<LaneChain> {
  const folder = kept ?? (await laneFolder())
  const master = join(folder, 'master.wav')
  await writeFile(master, wavPart(interleaved(clubTrack({ sampleRate: SAMPLE_RATE, bars: 1 }))))
  const given = masters === undefined ? undefined : resolve(masters)
  const files = given === undefined ? [] : (await readdir(given)).sort()
  // Steps that compute nothing only wait for servers, so they need a large window.
  if (given === undefined) process.env.TRACKCHAIN_CONCURRENCY ??= '200'
  const chain = await startChain({
    dataFolder: join(folder, 'data'),
    ...{ port: 0, pubsubPort: 0, pubsub },
    prefixes: [`file://${folder}/`, ...(given === undefined ? [] : [`file://${given}/`])],
    derivatives,
    onNotice: (sentence) => console.error(sentence),
  })
  const client = connect(chain.url, new AbortController().signal)
  const bus = pubsubBus(chain.link)
  const { at: announced, ear } = hearAnnounced(bus, 'asset_guid')
  return {
    ...{ chain, client, folder, announced },
    masters:
      given === undefined
        ? [`file://${master}`]
        : files.map((file) => `file://${given}/${file}`),
    async oneByOne(jobs) {
      const took: number[] = []
      for (const job of jobs) {
        const began = performance.now()
        await client.submit(job)
        while (!announced.has(job.asset_guid)) await sleep(2)
        took.push((announced.get(job.asset_guid) ?? 0) - began)
      }
      return took.sort((a, b) => a - b)
    },
    async close() {
      await ear.close()
      await bus.close()
      await chain.close()
      if (kept === undefined) await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Writes a manifest. */
export async function writeManifest(path: string, lines: Iterable<object>): Promise<void> {
  const texts = function* () {
    for (const line of lines) yield `${JSON.stringify(line)}\n`
  }
  await pipeline(Readable.from(texts()), createWriteStream(path))
}

/** Percentiles of sorted times, in words. */
export function shownTimes(sorted: readonly number[]): string {
  const at = (share: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
  return `p50 ${at(0.5)} ms, p90 ${at(0.9)}, p99 ${at(0.99)}, longest ${at(1)} (${sorted.length})`
}
