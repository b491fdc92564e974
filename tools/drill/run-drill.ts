import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { requestIdFrom } from '#shared/contracts/names.ts'
import type { Chain } from '../local/supervisor.ts'
import { compare } from './compare.ts'
import { comparePairs, throughTarget } from './external-target.ts'
import { computedTwiceMs, longestStallMs, meanStepMs, resumed, swept } from './figures.ts'
import { type DrillTrack, makeTracks, type TracksWanted } from './make-tracks.ts'
import { type Pass, type PassOptions, pass } from './pass.ts'
import { type DrillReport, MAX_FINDINGS } from './report.ts'
import { type ScheduleOptions, schedule } from './schedule.ts'

/** The options of a drill. */
export interface DrillWishes
  extends ScheduleOptions,
    Pick<TracksWanted, 'count' | 'seconds' | 'given'>,
    Pick<PassOptions, 'assets' | 'derivatives'> {
  /** How many more tracks are submitted and cancelled while the chain is disturbed. */
  readonly cancels: number
  /** Target duration of a planned step, ms. */
  readonly targetMs: number | undefined
  /** URL of a deployment's API, without a slash at its end. */
  readonly target: string | undefined
  readonly token: string | undefined
  readonly isVerbose: boolean
}

interface Drill {
  readonly wanted: DrillWishes
  /** A folder for all files of the drill. */
  readonly home: string
  readonly say: (sentence: string) => void
  readonly onChain: (chain: Chain) => void
  readonly signal: AbortSignal
}

/** The watchdog publishes a job again that has not ended after this time, s. In a drill that must never happen. */
const WATCHDOG_SECONDS = 600

/** Runs the tracks through a chain of its own, undisturbed and disturbed, or through a deployment. */
export async function runDrill(drill: Drill): Promise<DrillReport> {
  const { wanted, home, say, signal } = drill
  const folder = join(home, 'masters')
  await mkdir(folder)
  say(`Seed ${wanted.seed}. Making ${wanted.count} tracks …`)
  // A deployment still has the tracks of earlier drills.
  const prefix = wanted.target === undefined ? 'drill' : `drill-${Date.now().toString(36)}`
  const { target, count } = wanted
  const cancels = target === undefined ? wanted.cancels : 0
  const made = await makeTracks({
    ...{ ...wanted, count: count + cancels },
    ...{ folder, prefix, signal },
  })
  const tracks = made.slice(0, count)
  return await (target === undefined
    ? local(drill, tracks, made.slice(count))
    : remote(drill, tracks, target))
}

async function local(
  { wanted, home, say, onChain, signal }: Drill,
  tracks: readonly DrillTrack[],
  cancels: readonly DrillTrack[],
): Promise<DrillReport> {
  const { targetMs } = wanted
  const common: Omit<PassOptions, 'folder' | 'acts'> = {
    ...wanted,
    tracks,
    cancels,
    say,
    onChain,
    signal,
    settings: {
      watchdog_after_seconds: WATCHDOG_SECONDS,
      ...(targetMs === undefined ? {} : { target_ms: targetMs }),
    },
    onNotice: wanted.isVerbose ? say : () => {},
  }
  say('Undisturbed …')
  const before = await pass({ ...common, folder: join(home, 'undisturbed'), acts: [] })
  const ended = publishedIn(before.outcomes)
  if (ended < tracks.length)
    throw new Error(`undisturbed only ${ended} of ${tracks.length} tracks came to an end`)
  const acts = schedule(wanted)
  say(`Disturbed: ${acts.length} times, ${wanted.kills} of them by kills …`)
  const after = await pass({ ...common, folder: join(home, 'disturbed'), acts })
  return reportOf(wanted, before, after)
}

function reportOf({ seed, count }: DrillWishes, before: Pass, after: Pass): DrillReport {
  const { findings, ...comparison } = compare(before.outcomes, after.outcomes)
  const { findings: wentOn, ...cancels } = after.cancels
  const { done, atWork, killed, copied, stopped } = after.disturbed
  const { events } = after
  const length = ({ span }: Pass) => seconds(span.to - span.from)
  return {
    seed,
    tracks: count,
    published: publishedIn(after.outcomes),
    ...comparison,
    cancels: { cancelled: cancels.cancelled, ended: cancels.ended, went_on: cancels.wentOn },
    announced_again: after.announcedAgain,
    dead_letters: after.letters,
    swept: swept(events),
    left_in_queue: after.left,
    done,
    kills_at_work: atWork,
    processes_killed: killed,
    messages_copied: copied,
    process_starts: after.starts,
    resumed: resumed(events),
    computed_twice_seconds: seconds(computedTwiceMs(events, after.cutOffs, stopped)),
    mean_step_seconds: {
      undisturbed: hundredths(meanStepMs(before.events)),
      disturbed: hundredths(meanStepMs(events)),
    },
    core_seconds:
      before.coreMs === undefined || after.coreMs === undefined
        ? null
        : { undisturbed: seconds(before.coreMs), disturbed: seconds(after.coreMs) },
    seconds: { undisturbed: length(before), disturbed: length(after) },
    longest_stall_seconds: seconds(longestStallMs(events, after.ways)),
    findings: [...findings, ...wentOn].slice(0, MAX_FINDINGS),
  }
}

/** Sends each track twice, under two names: the two must have equal outcomes. */
async function remote(
  { wanted, say, signal }: Drill,
  tracks: readonly DrillTrack[],
  url: string,
): Promise<DrillReport> {
  const { seed, count, assets, token } = wanted
  const pairs = tracks.map((track) => [track, twinOf(track)] as const)
  const seen = await throughTarget({ url, token, tracks: pairs.flat(), assets, say, signal })
  const { outcomes, events, span } = seen
  const { findings, ...comparison } = comparePairs(pairs, outcomes)
  return {
    seed,
    tracks: 2 * count,
    published: publishedIn(outcomes),
    ...comparison,
    duplicates: null,
    cancels: null,
    announced_again: null,
    dead_letters: null,
    left_in_queue: null,
    done: null,
    kills_at_work: null,
    processes_killed: null,
    messages_copied: null,
    process_starts: null,
    computed_twice_seconds: null,
    core_seconds: null,
    swept: swept(events),
    resumed: resumed(events),
    mean_step_seconds: { undisturbed: null, disturbed: hundredths(meanStepMs(events)) },
    seconds: { undisturbed: null, disturbed: seconds(span.to - span.from) },
    longest_stall_seconds: seconds(longestStallMs(events, [span])),
    findings: findings.slice(0, MAX_FINDINGS),
  }
}

function twinOf({ guid, path }: DrillTrack): DrillTrack {
  const twin = `${guid}.twin`
  return { guid: twin, path, requestId: requestIdFrom(twin) }
}

function publishedIn(outcomes: Pass['outcomes']): number {
  return [...outcomes.values()].filter(({ published }) => published.length > 0).length
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10
}

function hundredths(ms: number): number {
  return Math.round(ms / 10) / 100
}
