import type { JobState } from '../../contracts/api/job.ts'
import type { RunAccepted, RunEnded, Verdict } from '../../contracts/messages/run.ts'
import { digest } from '../../contracts/names.ts'

/** Where a verdict comes from. */
interface Origin {
  /** Of the master; null if none was read. */
  readonly revision: string | null
  readonly run: number
  /** When that run was accepted, ISO 8601. */
  readonly accepted: string
}

type Made = Extract<Verdict, { state: 'made' }>

/** The verdict on an asset as a job has it. What was made of it, files and result, is kept with the asset alone. */
export type JobVerdict = (Pick<Made, 'state' | 'version'> | Exclude<Verdict, Made>) & Origin

/** A verdict with the files and the result of an asset that was made. */
export type WholeVerdict = Verdict & Origin

/** The parts of an acceptance that a job row needs. */
export type Acceptance = Pick<RunAccepted, 'job' | 'run' | 'route' | 'accepted' | 'request'>

/** A job as it is stored. It is read under the row's lock and changed by the functions below. */
export interface JobRow {
  readonly job: string
  /** The highest known run. */
  readonly run: number
  readonly route: string
  /** The request of the highest run. */
  readonly request: RunAccepted['request']
  /** When the job was first accepted, ISO 8601; after it was cancelled and asked for again: when that was. */
  readonly accepted: string
  /** Up to when its acceptance was cancelled last, ISO 8601; null if it never was. */
  readonly cancelled: string | null
  /** The requested assets, each with the highest run that requested it. */
  readonly wanted: ReadonlyMap<string, number>
  readonly verdicts: ReadonlyMap<string, JobVerdict>
}

/** The row of a new job. */
export function newJob(message: Acceptance): JobRow {
  const { job, run, route, request, accepted } = message
  const wanted = new Map(request.derivative_assets.map((asset) => [asset, run]))
  const verdicts = new Map<string, JobVerdict>()
  return { job, run, route, request, accepted, cancelled: null, wanted, verdicts }
}

/**
 * The job after an acceptance: further assets are added to it, and a higher run opens it again. An acceptance that was
 * cancelled says nothing; a later one opens the job anew. Returns the same object if nothing changes.
 */
export function withAcceptance(row: JobRow, message: Acceptance): JobRow {
  const { run, route, request, accepted } = message
  if (isWithdrawn(row, accepted)) return row
  if (isCancelled(row)) return askedAgain(row, message)
  const more = request.derivative_assets.filter((asset) => (row.wanted.get(asset) ?? 0) < run)
  const newer = run > row.run
  if (!newer && more.length === 0) return row
  const wanted = new Map(row.wanted)
  for (const asset of more) wanted.set(asset, run)
  if (!newer) return { ...row, wanted }
  const isLater = Date.parse(accepted) > Date.parse(row.accepted)
  return { ...row, wanted, run, route, request, ...(isLater ? { accepted } : {}) }
}

/** Whether the job is cancelled, and has not been asked for again since. */
function isCancelled(row: JobRow): boolean {
  return isWithdrawn(row, row.accepted)
}

/** Whether what was accepted then is cancelled. */
function isWithdrawn({ cancelled }: JobRow, accepted: string): boolean {
  return cancelled !== null && Date.parse(accepted) <= Date.parse(cancelled)
}

/** A cancelled job that is asked for again: it keeps what has a verdict, and wants what it is asked for now. */
function askedAgain(row: JobRow, { run, route, request, accepted }: Acceptance): JobRow {
  const wanted = new Map([...row.wanted].filter(([asset]) => isDecided(row, asset)))
  for (const asset of request.derivative_assets)
    if ((wanted.get(asset) ?? 0) < run) wanted.set(asset, run)
  return { ...row, wanted, route, request, accepted, run: Math.max(run, row.run) }
}

/** The job with the verdicts of a run that has ended. Returns the same object if nothing changes. */
export function withRunEnded(row: JobRow, message: RunEnded): JobRow {
  const { run, accepted, verdicts } = message
  const revision = message.master?.revision ?? null
  // The acceptance may not have been recorded.
  let result = withAcceptance(row, message)
  for (const [asset, verdict] of Object.entries(verdicts))
    result = withVerdict(result, asset, { ...lean(verdict), revision, run, accepted })
  return result
}

function lean(verdict: Verdict): Pick<Made, 'state' | 'version'> | Exclude<Verdict, Made> {
  if (verdict.state === 'failed') return verdict
  const { state, version } = verdict
  return { state, version }
}

/** The job with one more verdict. Returns the same object if nothing changes. */
export function withVerdict(row: JobRow, asset: string, verdict: JobVerdict): JobRow {
  const old = row.verdicts.get(asset)
  const best = better(old, verdict)
  if (best === old) return row
  return { ...row, verdicts: new Map(row.verdicts).set(asset, best) }
}

/** The requested assets, sorted. */
export function wantedAssets(row: JobRow): string[] {
  return [...row.wanted.keys()].sort()
}

/** Whether every requested asset has a verdict of the run that requested it, or of a later one. Never while cancelled. */
export function isComplete(row: JobRow): boolean {
  return !isCancelled(row) && wantedAssets(row).every((asset) => isDecided(row, asset))
}

/** The revision of the master that the latest verdicts are about; null if none is known. */
export function revisionOf(row: JobRow): string | null {
  const known = [...row.verdicts.values()].filter(({ revision }) => revision !== null)
  return known.reduce<JobVerdict | undefined>(later, undefined)?.revision ?? null
}

export function stateOf(row: JobRow): JobState {
  if (isCancelled(row)) return 'cancelled'
  const assets = wantedAssets(row)
  const decided = assets.filter((asset) => isDecided(row, asset))
  if (decided.length < assets.length) return decided.length > 0 ? 'running' : 'accepted'
  const made = assets.filter((asset) => row.verdicts.get(asset)?.state === 'made')
  return made.length === assets.length ? 'done' : made.length > 0 ? 'partial' : 'failed'
}

/**
 * The id of an announcement: of one job, one run and one set of assets, each with the run that requested it last; and of
 * the cancellation before it, if there was one. Every copy of the message has this id, and no other message does.
 */
export function announcementId({ job, run, wanted, cancelled }: JobRow): string {
  const after = cancelled === null ? [] : [Date.parse(cancelled)]
  return digest([job, run, Object.fromEntries(wanted), ...after], 32)
}

function isDecided(row: JobRow, asset: string): boolean {
  const verdict = row.verdicts.get(asset)
  return verdict !== undefined && verdict.run >= (row.wanted.get(asset) ?? 0)
}

// An asset that was made of the same bytes stays made, no matter what comes later. Otherwise the later run wins, and
// within a run the verdict `made`.
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
