import { moveCampaign } from '#shared/catalogue/campaigns/move-campaign.ts'
import type { Database } from '#shared/catalogue/database.ts'
import {
  type Cancellation,
  cancel,
  endCancelled,
  latestCancellation,
} from '#shared/catalogue/jobs/cancel-jobs.ts'
import type { Cancelled } from '#shared/contracts/api/cancellation.ts'
import type { ReleaseCancelled } from '#shared/contracts/api/release.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { CAMPAIGN_ID_PATTERN, canonicalRequestId, jobId } from '#shared/contracts/names.ts'
import { changeCatalogue } from '../http/query.ts'

/** How long a request goes on ending rows, ms. The services know of the cancellation by then; publish ends the rest. */
const END_MS = 3000

/** Which jobs are to be cancelled, by whom and why. */
interface CancelWish {
  readonly requestId: string
  /** Its track; null: all jobs of the request. */
  readonly track: string | null
  readonly by: string
  readonly reason: string | null
}

/** Which release is to be cancelled, by whom and why. */
interface ReleaseWish {
  readonly release: number
  readonly by: string
  readonly reason: string | null
}

/** Cancels. Each @throws HttpError NOT_FOUND, HAS_ENDED, UPSTREAM_DOWN */
export interface Cancelling {
  /** A request, or one of its jobs. */
  request(wish: CancelWish): Promise<Cancelled>
  /** All jobs that name a release. */
  release(wish: ReleaseWish): Promise<ReleaseCancelled>
}

/**
 * Cancels jobs in the catalogue.
 * @param onCancelled called when a cancellation is committed, before its rows are ended
 */
export function cancelling(database: Database, onCancelled: () => void): Cancelling {
  async function request({ requestId, track, by, reason }: CancelWish): Promise<Cancelled> {
    const job = track === null ? null : jobId(requestId, track)
    const request = canonicalRequestId(requestId)
    const outcome = await changeCatalogue(
      async () =>
        (track === null
          ? await cancelCampaign(database, request, { by, reason })
          : undefined) ?? (await cancel(database, { request, job }, { by, reason })),
    )
    const what = track === null ? `The request ${requestId}` : `The job of ${track}`
    if (outcome.result === 'unknown') {
      const words =
        track === null
          ? `No job of the request ${requestId} is known (yet: after a 202 it may take a moment).`
          : `The request ${requestId} has no job of the track ${track} (yet: after a 202 it may take a moment).`
      throw new HttpError('NOT_FOUND', words, {
        at: track === null ? '/request_id' : '/asset_guid',
      })
    }
    if (outcome.result === 'ended') {
      throw new HttpError(
        'HAS_ENDED',
        `${what} has ended already: there is nothing left to cancel.`,
      )
    }
    return {
      ...(await carriedOut(outcome)),
      request_id: requestId,
      asset_guid: track,
      href: `/v1/jobs/${encodeURIComponent(requestId)}`,
    }
  }

  async function release({ release, by, reason }: ReleaseWish): Promise<ReleaseCancelled> {
    const outcome = await changeCatalogue(() => cancel(database, { release }, { by, reason }))
    if (outcome.result === 'unknown') throw unknownRelease(release)
    if (outcome.result === 'ended') {
      const words = `The release ${release} has ended already: there is nothing left to cancel.`
      throw new HttpError('HAS_ENDED', words)
    }
    const href = `/v1/releases/${release}`
    return { ...(await carriedOut(outcome)), release_id: release, href }
  }

  /** Tells of a cancellation, ends its rows, and says what came of it. */
  async function carriedOut({ cancellation, isNew }: Committed) {
    if (isNew) onCancelled()
    const { number, by, reason } = cancellation
    const { ended, isAll } = await endRowsSoon(database, cancellation)
    return {
      number,
      before: cancellation.before.toISOString(),
      at: cancellation.at.toISOString(),
      by,
      reason,
      ended,
      left: !isAll,
    }
  }

  return { request, release }
}

type Committed = Extract<Awaited<ReturnType<typeof cancel>>, { result: 'cancelled' }>

export function unknownRelease(release: number): HttpError {
  return new HttpError(
    'NOT_FOUND',
    `There is no release ${release} (yet: after a 202 it may take a moment).`,
    {
      at: '/release_id',
    },
  )
}

/**
 * Ends the rows of what has been cancelled, for three seconds at most. If the database goes away meanwhile, the
 * cancellation holds, and the rows are ended later.
 */
export async function endRowsSoon(
  database: Database,
  cancellation: Cancellation,
): ReturnType<typeof endCancelled> {
  const rows = endCancelled(database, cancellation, AbortSignal.timeout(END_MS))
  return await rows.catch(() => ({ ended: 0, isAll: false }))
}

/** Cancels the campaign of which this is the request; undefined if it is of none. */
async function cancelCampaign(
  database: Database,
  request: string,
  mover: { readonly by: string; readonly reason: string | null },
): Promise<Awaited<ReturnType<typeof cancel>> | undefined> {
  if (!IS_CAMPAIGN.test(request)) return undefined
  const moved = await moveCampaign(database, request, 'cancel', mover)
  if (moved === undefined) return undefined
  // Nothing new of one that is cancelled already, or has ended.
  const { campaign, cancellation: added } = moved
  const wasCancelled = added === undefined && campaign.state === 'cancelled'
  const earlier = wasCancelled
    ? await latestCancellation(database, { request, job: null })
    : undefined
  const cancellation = added ?? earlier
  if (cancellation === undefined) return { result: 'ended' }
  return { result: 'cancelled', cancellation, isNew: added !== undefined }
}

const IS_CAMPAIGN = new RegExp(CAMPAIGN_ID_PATTERN)
