import type { Catalogue } from '#shared/catalogue/jobs/jobs.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import type { RunAccepted } from '#shared/contracts/messages/run.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import { briefly } from './briefly.ts'

/** What decides which work a job is. Said twice with two values, one of them would be dropped without a word. */
const FIXED = ['master_uri', 'site', 'release_id', 'asset_id', 'strict'] as const
type Said = Pick<RunAccepted['request'], (typeof FIXED)[number]>

/** Jobs that this process remembers by itself: those of one body come at the same moment, before any has a row. */
const REMEMBERED = 10_000
/** How long a job waits for what the database knows of its request, ms. */
const WITHIN_MS = 1000

export interface Consistent {
  /** @throws PermanentError REQUEST_CONFLICT when the same request has said something else of the same track. */
  check(accepted: RunAccepted): Promise<void>
  /** Forgets a job that could not be handed on: what is posted next may be another. */
  forget(accepted: RunAccepted): void
}

/**
 * Compares a job with what the same request said of the same track before. More assets widen it, a title or an artist
 * is the track's, and what is left out says nothing; another master, site or number contradicts. While the database
 * does not answer, only the jobs that this process has taken itself are known.
 */
export function consistency(catalogue: Pick<Catalogue, 'requestsOf'>, log: Log): Consistent {
  const taken = new Map<string, Said>()
  const stored = briefly<string, Said | undefined>(
    async (jobs, signal) => {
      const found = await catalogue.requestsOf(jobs, signal)
      return jobs.map((job) => found.get(job))
    },
    log,
    {
      ...{ most: 500, gatherMs: 3, withinMs: WITHIN_MS },
      resting: 'jobs are taken without a look at what their requests said before',
    },
  )
  return {
    async check({ job, request }) {
      const before = taken.get(job)
      if (before !== undefined) refuseOther(request, before)
      taken.delete(job)
      taken.set(job, { ...saidIn(request), ...before })
      const [oldest] = taken.keys()
      if (taken.size > REMEMBERED && oldest !== undefined) taken.delete(oldest)
      if (before !== undefined) return
      const known = await stored(job)
      if (known === undefined) return
      try {
        refuseOther(request, known)
      } catch (error) {
        taken.set(job, saidIn(known))
        throw error
      }
    },
    forget({ job }) {
      taken.delete(job)
    },
  }
}

function saidIn(request: Said): Said {
  const said = FIXED.map((name) => [name, request[name]] as const)
  return Object.fromEntries(said.filter(([, value]) => value !== undefined))
}

function refuseOther(now: Said & { readonly request_id: string }, before: Said): void {
  for (const name of FIXED) {
    if (now[name] === undefined || before[name] === undefined || now[name] === before[name])
      continue
    const [was, is] = [before[name], now[name]].map((value) => JSON.stringify(value))
    throw new PermanentError(
      'REQUEST_CONFLICT',
      `the request ${JSON.stringify(now.request_id)} has asked for this track with ${name} ${was}, and now says ${is}`,
      { at: `/${name}` },
    )
  }
}
