import type { Database } from '#shared/catalogue/database.ts'
import { type EarlierJob, earlierJobs } from '#shared/catalogue/jobs/read-cancellations.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import type { RunAccepted } from '#shared/contracts/messages/run.ts'
import { tenantOf } from '#shared/contracts/tenants.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import { afterCancelling } from '#shared/jobs/after-cancelling.ts'
import { bestEffort } from './best-effort.ts'

/**
 * The fields that decide what a job does. If a request gave two values for one of them, one value would
 * silently be ignored.
 */
const FIXED = ['master_uri', 'site', 'release_id', 'asset_id', 'strict', 'tenant'] as const
type Said = Pick<RunAccepted['request'], (typeof FIXED)[number]>

/**
 * Maximum number of jobs that this process remembers. Jobs of one body arrive together, before any of them has
 * a row.
 */
const REMEMBERED = 10_000
/** Maximum time that a job waits for the database to report earlier jobs of its request, ms. */
const WITHIN_MS = 1000

export interface Conflicts {
  /**
   * Compares a job with earlier ones. Resolves to the job as it is to run: after a cancellation it is a later run.
   * @param sentMs when the client has sent it, ms since 1970; infinity: right now; undefined for a job that comes to
   * ingest again, which stays as it was accepted
   * @throws PermanentError REQUEST_CONFLICT when the same request has given another value for the same track
   */
  check(accepted: RunAccepted, sentMs: number | undefined): Promise<RunAccepted>
  /** Forgets a job that could not be handed on, because the client may post it again with other values. */
  forget(accepted: RunAccepted): void
}

/**
 * Compares a job with what the same request said about the same track before. It may add assets, change the
 * title or the artist, and omit fields; another master, site, id or `strict` is a conflict. While the database
 * does not answer, only jobs that this process has accepted are known.
 */
export function requestConflicts(database: Database, log: Log): Conflicts {
  const taken = new Map<string, Said>()
  const stored = bestEffort<RunAccepted, EarlierJob | undefined>(
    async (jobs, signal) => {
      const found = await earlierJobs(database, jobs, signal)
      return jobs.map(({ job }) => found.get(job))
    },
    log,
    {
      most: 500,
      gatherMs: 3,
      withinMs: WITHIN_MS,
      whenSuspended: 'jobs are taken without a look at what their requests said before',
    },
  )
  return {
    async check(accepted, sentMs) {
      const { job, request } = accepted
      const before = taken.get(job)
      if (before !== undefined) refuseOther(request, before)
      taken.delete(job)
      taken.set(job, { ...saidIn(request), ...before })
      const [oldest] = taken.keys()
      if (taken.size > REMEMBERED && oldest !== undefined) taken.delete(oldest)
      const earlier = await stored(accepted)
      if (earlier === undefined) return accepted
      const { request: known } = earlier
      try {
        if (before === undefined && known !== undefined) refuseOther(request, known)
      } catch (error) {
        taken.set(job, saidIn(known ?? {}))
        throw error
      }
      return sentMs === undefined ? accepted : afterCancelling(accepted, earlier, sentMs)
    },
    forget({ job }) {
      taken.delete(job)
    },
  }
}

function saidIn(request: Said): Said {
  const said = FIXED.map((name) => [name, valueIn(request, name)] as const)
  return Object.fromEntries(said.filter(([, value]) => value !== undefined))
}

/** Every job has a tenant: one that leaves it out contradicts one that names another. */
function valueIn(said: Said, name: keyof Said): Said[keyof Said] {
  return name === 'tenant' ? tenantOf({ request: said }) : said[name]
}

function refuseOther(now: Said & { readonly request_id: string }, before: Said): void {
  for (const name of FIXED) {
    const [old, given] = [valueIn(before, name), valueIn(now, name)]
    if (given === undefined || old === undefined || given === old) continue
    const [was, is] = [old, given].map((value) => JSON.stringify(value))
    throw new PermanentError(
      'REQUEST_CONFLICT',
      `the request ${JSON.stringify(now.request_id)} has asked for this track with ${name} ${was}, and now says ${is}`,
      { at: `/${name}` },
    )
  }
}
