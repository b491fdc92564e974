import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Database } from '#shared/catalogue/database.ts'
import {
  jobsOfRequest,
  type JobStatus as KnownJob,
  MAX_OF_REQUEST,
} from '#shared/catalogue/jobs/read-jobs.ts'
import {
  type AssetStatus,
  JobRequest,
  type JobState,
  type JobStatus,
} from '#shared/contracts/api/job.ts'
import { EXAMPLE_REQUEST_ID } from '#shared/contracts/api/parameters.ts'
import { remedyOf } from '#shared/contracts/errors/chain.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { withoutPaths } from '#shared/contracts/errors/without-paths.ts'
import { laneOf } from '#shared/contracts/lanes.ts'
import { RequestId } from '#shared/contracts/messages/ids.ts'
import { tenantOf } from '#shared/contracts/tenants.ts'
import { queryCatalogue } from '../http/query.ts'
import { jsonResponse, refused } from '../http/responses.ts'
import { toWarning } from '../tracks/routes.ts'
import { percentOf, unitsOf } from './progress.ts'

const Params = Type.Object({
  request_id: {
    ...RequestId('As the job gave it, or as it was minted.'),
    examples: [EXAMPLE_REQUEST_ID],
  },
})
type Params = Static<typeof Params>

const schema = {
  operationId: 'getRequest',
  tags: ['jobs'],
  summary: 'Show the state of a request',
  description:
    'The state of each of its jobs: `queued` (until its tenant has fewer jobs open), `accepted`, `running`, `done`, `partial` (some assets failed), `failed` or `cancelled`, and of each asset. `percent` is 100 only when all has ended; `dead_lettered` says whether a dead letter about it is open; a pending asset has the units of its plan and how many of them are there, as far as that is known.',
  params: Params,
  response: {
    200: jsonResponse('Its jobs, one for each track.', JobRequest),
    ...refused,
  },
}

/** GET /v1/jobs/{request_id}. */
export async function jobStatusRoutes(
  app: FastifyInstance,
  { database }: { readonly database: Database },
): Promise<void> {
  app.get<{ Params: Params }>(
    '/v1/jobs/:request_id',
    { schema, config: { scope: 'read' } },
    async ({ params }, reply): Promise<JobRequest> => {
      const { request_id } = params
      const jobs = await queryCatalogue((signal) => jobsOfRequest(database, request_id, signal))
      if (jobs.length === 0) {
        throw new HttpError(
          'NOT_FOUND',
          `No job of the request ${request_id} is known (yet: after a 202 it may take a moment).`,
          { at: '/request_id' },
        )
      }
      if (jobs.length > MAX_OF_REQUEST) {
        const words = `The request has more than ${MAX_OF_REQUEST} jobs. Ask for its campaign (/v1/campaigns/${request_id}), or for single tracks.`
        throw new HttpError('TOO_LARGE', words, { at: '/request_id' })
      }
      reply.header('cache-control', 'no-store')
      const percent = Math.floor(mean(jobs.map(percentOf)))
      return { request_id, state: stateOf(jobs), percent, jobs: jobs.map(toJobStatus) }
    },
  )
}

/** Of a request with several jobs: what still runs counts first, then whether all are of one kind, then what was cancelled. */
function stateOf(jobs: readonly KnownJob[]): JobState {
  const states = new Set(jobs.map(({ state }) => state))
  if (states.size === 1) return [...states][0] as JobState
  if (OPEN.some((state) => states.has(state))) return 'running'
  return states.has('cancelled') ? 'cancelled' : 'partial'
}

const OPEN: readonly JobState[] = ['queued', 'accepted', 'running']

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function toJobStatus(job: KnownJob): JobStatus {
  const { request, track, assets } = job
  return {
    job: job.job,
    asset_guid: track,
    ...(request.release_id === undefined ? {} : { release_id: request.release_id }),
    ...(request.asset_id === undefined ? {} : { asset_id: request.asset_id }),
    state: job.state,
    percent: percentOf(job),
    run: job.run,
    route: job.route,
    lane: laneOf(job),
    tenant: tenantOf(job),
    revision: job.revision,
    accepted: job.accepted.toISOString(),
    ended: job.ended?.toISOString() ?? null,
    published: job.announced?.toISOString() ?? null,
    dead_lettered: job.deadLettered,
    warnings: job.warnings.map(toWarning),
    track: `/v1/tracks/${track}`,
    assets: Object.entries(assets)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([asset, verdict]) =>
        verdict === null ? missing(job, asset) : toAssetStatus(asset, verdict),
      ),
  }
}

function missing(job: KnownJob, asset: string): AssetStatus {
  if (job.state === 'cancelled') return { asset, state: 'cancelled' }
  return { asset, state: 'pending', ...unitsOf(job, asset) }
}

type KnownVerdict = NonNullable<KnownJob['assets'][string]>

function toAssetStatus(asset: string, verdict: KnownVerdict): AssetStatus {
  const { version, run, revision } = verdict
  const common = { version, run, revision }
  if (verdict.state === 'made') {
    const { state, files, result } = verdict
    return { asset, state, ...common, files, ...(result === undefined ? {} : { result }) }
  }
  const { state, code, step, attempt } = verdict
  const sentence = withoutPaths(verdict.sentence)
  return { asset, state, ...common, code, sentence, ...remedyOf(code), step, attempt }
}
