import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { PubsubBus } from '#shared/bus/pubsub.ts'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import type { Campaign } from '#shared/contracts/api/campaign.ts'
import { LANES } from '#shared/contracts/lanes.ts'
import { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import type { Config } from '#shared/frame/settings.ts'
import { send } from '#shared/frame/step.ts'
import { endedChildrenMs } from '#shared/frame/telemetry/cpu-time.ts'
import { type Client, connect } from '../client/client.ts'
import { folderUri } from '../local/data-folder.ts'
import { waitingIn } from '../local/pubsub/sqlite-journal.ts'
import { type Chain, startChain } from '../local/supervisor.ts'
import { type Cancels, canceller, cancelsSeen, NO_CANCELS } from './cancels.ts'
import type { Outcomes } from './compare.ts'
import { type Disturbed, disturb } from './disturb.ts'
import type { CutOff, Span } from './figures.ts'
import type { DrillTrack } from './make-tracks.ts'
import { outcomes } from './outcomes.ts'
import { retryDisturbed } from './retry-disturbed.ts'
import type { Act } from './schedule.ts'
import { type Captured, type Heard, type Witness, witness } from './witness.ts'

export interface PassOptions {
  /** The chain's data folder. */
  readonly folder: string
  readonly tracks: readonly DrillTrack[]
  /** Tracks that are submitted while it is disturbed, and cancelled. */
  readonly cancels: readonly DrillTrack[]
  /** Ids of the assets to make. */
  readonly assets: readonly string[]
  readonly derivatives: string | undefined
  readonly settings: Pick<Partial<Config>, 'target_ms' | 'watchdog_after_seconds'>
  readonly acts: readonly Act[]
  readonly seed: number
  /** Called with a sentence for the person at the terminal. */
  readonly say: (sentence: string) => void
  readonly onNotice: (sentence: string) => void
  readonly onChain: (chain: Chain) => void
  readonly signal: AbortSignal
}

/** What was observed while the tracks went through a chain. */
export interface Pass {
  readonly outcomes: Outcomes
  readonly cancels: Cancels
  readonly events: readonly Heard[]
  readonly disturbed: Disturbed
  readonly cutOffs: readonly CutOff[]
  readonly announcedAgain: number
  readonly letters: number
  /** Number of starts of processes, restarts included. */
  readonly starts: number
  /** From the first submission to the last announcement. */
  readonly span: Span
  /** When each track was under way. */
  readonly ways: readonly Span[]
  /** Core-milliseconds of all processes of the chain; undefined where the system does not report them. */
  readonly coreMs: number | undefined
  /** Number of messages that still waited for a step at the end. */
  readonly left: number
}

/** Number of tracks that are submitted ahead of the kills, so that each kill meets work. */
const AHEAD = 4
/** The pass ends when the chain has made no progress for this long, ms. */
const PATIENCE_MS = 300_000
/** The pass is over when nothing was received for this long, ms: undisturbed, and with copies to deliver and settle. */
const QUIET_MS = 2_000
const QUIET_AFTER_ACTS_MS = 10_000
/** The subscriptions that the services of the chain consume, and the drill does not. */
const NOT_CONSUMED = /^(drill-|published$)/
const SAY_EVERY_MS = 10_000
const LOOK_EVERY_MS = 100

/** Sends the tracks through a chain of their own while the acts are carried out. */
export async function pass(options: PassOptions): Promise<Pass> {
  const coresBefore = endedChildrenMs()
  let starts = 0
  const cutOffs: CutOff[] = []
  const { derivatives, settings, signal, tracks } = options
  const chain = await startChain({
    dataFolder: options.folder,
    port: 0,
    pubsubPort: 0,
    derivatives,
    settings,
    signal,
    prefixes: [...new Set(tracks.map(({ path }) => folderUri(dirname(path))))],
    onNotice: options.onNotice,
    onStart: () => starts++,
    onCutOff: ({ pid, since }) => cutOffs.push({ pid, from: since, to: Date.now() }),
  })
  const bus = pubsubBus(chain.link)
  let seen: Witness | undefined
  let passed: Awaited<ReturnType<typeof through>>
  try {
    options.onChain(chain)
    seen = await witness(bus)
    passed = await through(chain, bus, seen, options)
  } finally {
    await seen?.close()
    await bus.close()
    await chain.close()
  }
  const coresAfter = endedChildrenMs()
  const { events, announcedAgain, letters } = seen
  return {
    ...passed,
    events,
    announcedAgain,
    cutOffs,
    starts,
    letters: [...letters.values()].reduce((sum, { size }) => sum + size, 0),
    coreMs: coresAfter === undefined ? undefined : coresAfter - Number(coresBefore),
    left: Object.entries(waitingIn(chain.folder.queue))
      .filter(([name]) => !NOT_CONSUMED.test(name))
      .reduce((sum, [, waiting]) => sum + waiting, 0),
  }
}

async function through(
  chain: Chain,
  bus: PubsubBus,
  seen: Witness,
  options: PassOptions,
): Promise<Pick<Pass, 'outcomes' | 'cancels' | 'disturbed' | 'span' | 'ways'>> {
  const { acts, seed, say, signal } = options
  const submitted = new Map<string, number>()
  const submitting: Promise<void>[] = []
  const kills = acts.filter(({ kind }) => kind === 'kill').length
  const client = connect(chain.url, signal)
  const tracks = await withCampaign(client, options)
  for (const { guid } of tracks.filter(({ isItem }) => isItem)) submitted.set(guid, Date.now())
  const submit = submitter(client, bus, options)
  const { cancel } = canceller(client, seed)
  const cancels = acts.length === 0 ? [] : options.cancels
  const cancelling: ReturnType<typeof cancel>[] = []
  const release = (count: number) => {
    for (let n = cancelling.length; n < Math.min(count, cancels.length); n++) {
      const track = cancels[n] as DrillTrack
      const asked = submit(track, n).then(() => cancel(track))
      asked.catch(() => {})
      cancelling.push(asked)
    }
    for (let n = submitting.length; n < Math.min(count, tracks.length); n++) {
      const track = tracks[n] as DrillTrack
      if (track.isItem) {
        submitting.push(Promise.resolve())
        continue
      }
      const sent = submit(track, n).then(() => void submitted.set(track.guid, Date.now()))
      // The rejection is seen where all submissions are awaited.
      sent.catch(() => {})
      submitting.push(sent)
    }
  }
  const isAnnounced = ({ guid }: DrillTrack) => seen.announced.has(guid)
  const announced = () => tracks.filter(isAnnounced).length
  let killed = 0
  const ticker = setInterval(() => {
    const ofKills = kills === 0 ? '' : `${killed} of ${kills} kills, `
    say(`${ofKills}${announced()} of ${tracks.length} tracks published`)
  }, SAY_EVERY_MS)
  try {
    const from = Date.now()
    release(kills === 0 ? tracks.length : AHEAD)
    const disturbed = await disturb(acts, {
      chain,
      bus,
      seed,
      signal,
      // A job that is published on the topic `ingest` after it was cancelled has been asked for again.
      captured: () => seen.captured.filter((message) => !asksFor(message, cancels)),
      isAtWork: () => [...submitted.keys()].some((guid) => !seen.announced.has(guid)),
      onKill(done) {
        killed = done
        release(AHEAD + Math.ceil((done / kills) * tracks.length))
      },
    })
    release(Math.max(tracks.length, cancels.length))
    await Promise.all(submitting)
    const asked = await Promise.all(cancelling)
    while (announced() < tracks.length && Date.now() - seen.progressMs < PATIENCE_MS)
      await sleep(LOOK_EVERY_MS, undefined, { signal })
    const to = Date.now()
    const quietMs = acts.length === 0 ? QUIET_MS : QUIET_AFTER_ACTS_MS
    while (Date.now() - seen.heardMs < quietMs)
      await sleep(LOOK_EVERY_MS, undefined, { signal })
    return {
      outcomes: await outcomes(chain, tracks, options.cancels, seen, signal),
      cancels:
        asked.length === 0
          ? NO_CANCELS
          : await cancelsSeen(asked, chain.database, seen, signal),
      disturbed,
      span: { from, to },
      ways: Array.from(submitted, ([guid, since]) => ({
        from: since,
        to: Math.max(since, seen.announcedMs.get(guid) ?? to),
      })),
    }
  } finally {
    clearInterval(ticker)
  }
}

function asksFor({ topic, data }: Captured, tracks: readonly DrillTrack[]): boolean {
  return topic === 'ingest' && tracks.some(({ guid }) => data.includes(`"${guid}"`))
}

/** Every fourth track is an item of a campaign. */
const ITEMS = 4

/** Starts a campaign of every fourth track. @returns all tracks, with their requests */
async function withCampaign(
  client: Client,
  { tracks, assets }: PassOptions,
): Promise<readonly DrillTrack[]> {
  const isItem = (n: number) => n % ITEMS === ITEMS - 1
  const items = tracks.filter((_, n) => isItem(n))
  if (items.length === 0) return tracks
  const lines = items.map(({ guid, path }) => {
    const master_uri = pathToFileURL(path).href
    return JSON.stringify({ asset_guid: guid, master_uri, derivative_assets: assets })
  })
  const { id } = await client.post<Campaign>(
    '/v1/campaigns?name=drill&start=1',
    lines.join('\n'),
  )
  return tracks.map((track, n) =>
    isItem(n) ? { ...track, requestId: id, isItem: true } : track,
  )
}

/** Submits a track as clients do: by POST, or by a message on the topic `ingest`, and in each lane, in turn. */
function submitter(client: Client, bus: PubsubBus, { assets, signal }: PassOptions) {
  return async ({ guid, requestId, path }: DrillTrack, n: number): Promise<void> => {
    const lane = LANES[n % LANES.length]
    const job: EncodeJob = {
      request_id: requestId,
      asset_guid: guid,
      derivative_assets: [...assets],
      master_uri: pathToFileURL(path).href,
      ...(lane === undefined ? {} : { lane }),
    }
    await retryDisturbed(async () => {
      if (n % 2 === 0) return void (await client.submit({ ...job, asset_guid: guid }))
      const { topic, ...message } = send('ingest', EncodeJob, job)
      await bus.publish(topic, message)
    }, signal)
  }
}
