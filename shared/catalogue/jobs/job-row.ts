import type { RunAccepted, RunEnded, Verdict } from '../../contracts/messages/run.ts'
import { digest } from '../../contracts/names.ts'

export type JobState = 'accepted' | 'running' | 'done' | 'partial' | 'failed'

/** What became of an asset, of which bytes of the master, and which run said so. */
export type JobVerdict = Verdict & {
  readonly revision: string | null
  readonly run: number
  /** When that run was accepted, ISO 8601. */
  readonly accepted: string
}

/** What an acceptance says of a job. */
export type Acceptance = Pick<RunAccepted, 'job' | 'run' | 'route' | 'accepted' | 'request'>

/** A job as its row keeps it, read under the row's lock, changed by the functions below. */
export interface JobRow {
  readonly job: string
  /** The highest run that was heard of. */
  readonly run: number
  readonly route: string
  /** As the highest run asked. */
  readonly request: RunAccepted['request']
  /** When the job was first accepted, ISO 8601. */
  readonly accepted: string
  /** Each asset that was asked for, with the highest run that asked for it. */
  readonly wanted: ReadonlyMap<string, number>
  readonly verdicts: ReadonlyMap<string, JobVerdict>
}

/** A job that nobody has heard of before. */
export function newJob(message: Acceptance): JobRow {
  const { job, run, route, request, accepted } = message
  const wanted = new Map(request.derivative_assets.map((asset) => [asset, run]))
  return { job, run, route, request, accepted, wanted, verdicts: new Map() }
}

/**
 * The job once `message` has been heard: more assets widen it, a higher run opens it again.
 * The very same row when that changes nothing.
 */
export function asked(row: JobRow, message: Acceptance): JobRow {
  const { run, route, request } = message
  const more = request.derivative_assets.filter((asset) => (row.wanted.get(asset) ?? 0) < run)
  const newer = run > row.run
  if (!newer && more.length === 0) return row
  const wanted = new Map(row.wanted)
  for (const asset of more) wanted.set(asset, run)
  return { ...row, wanted, ...(newer ? { run, route, request } : {}) }
}

/** The job once a run's verdicts are in. The very same row when they are no news. */
export function ended(row: JobRow, message: RunEnded): JobRow {
  const { run, accepted, verdicts } = message
  const revision = message.master?.revision ?? null
  // The acceptance may never have been recorded.
  let result = asked(row, message)
  for (const [asset, verdict] of Object.entries(verdicts))
    result = judged(result, asset, { ...verdict, revision, run, accepted })
  return result
}

/** The job with one more verdict. The very same row when it is no news. */
export function judged(row: JobRow, asset: string, verdict: JobVerdict): JobRow {
  const old = row.verdicts.get(asset)
  const best = better(old, verdict)
  if (best === old) return row
  return { ...row, verdicts: new Map(row.verdicts).set(asset, best) }
}

/** The wanted assets, sorted. */
export function wantedAssets(row: JobRow): string[] {
  return [...row.wanted.keys()].sort()
}

/** Complete once every wanted asset has a verdict of the run that wanted it, or of a later one. */
export function isComplete(row: JobRow): boolean {
  return wantedAssets(row).every((asset) => isDecided(row, asset))
}

/** The revision of the master that the latest verdicts are about; null while none is known. */
export function revisionOf(row: JobRow): string | null {
  const known = [...row.verdicts.values()].filter(({ revision }) => revision !== null)
  return known.reduce<JobVerdict | undefined>(later, undefined)?.revision ?? null
}

export function stateOf(row: JobRow): JobState {
  const assets = wantedAssets(row)
  const decided = assets.filter((asset) => isDecided(row, asset))
  if (decided.length < assets.length) return decided.length > 0 ? 'running' : 'accepted'
  const made = assets.filter((asset) => row.verdicts.get(asset)?.state === 'made')
  return made.length === assets.length ? 'done' : made.length > 0 ? 'partial' : 'failed'
}

/**
 * Names what is announced: one job, one run, one set of assets, each as the run that wanted it last has it. Every copy
 * of the message has it, and nothing else does.
 */
export function announcementId({ job, run, wanted }: JobRow): string {
  return digest([job, run, Object.fromEntries(wanted)], 32)
}

function isDecided(row: JobRow, asset: string): boolean {
  const verdict = row.verdicts.get(asset)
  return verdict !== undefined && verdict.run >= (row.wanted.get(asset) ?? 0)
}

// What was made of the same bytes stays made, whoever says what later; else the later run is right,
// and within a run what was made.
function better(old: JobVerdict | undefined, next: JobVerdict): JobVerdict {
  if (old === undefined) return next
  const same = old.revision === next.revision && old.version === next.version
  if (same && old.state === 'made') return next.run > old.run ? { ...old, run: next.run } : old
  if (same && next.state === 'made') return { ...next, run: Math.max(old.run, next.run) }
  if (next.run === old.run && next.state !== old.state)
    return next.state === 'made' ? next : old
  return later(old, next)
}

function later(old: JobVerdict | undefined, next: JobVerdict): JobVerdict {
  if (old === undefined || next.run > old.run) return next
  return next.run === old.run && Date.parse(next.accepted) > Date.parse(old.accepted)
    ? next
    : old
}
