import type { Bus } from '#shared/bus/bus.ts'
import { addRefusals, type NewRefusal } from '#shared/catalogue/campaigns/enumerate-campaign.ts'
import {
  endCampaign,
  type Held,
  holdRunning,
  type Item,
  markReleased,
  nextItems,
  readRunning,
} from '#shared/catalogue/campaigns/release-campaign.ts'
import type { Database, Query } from '#shared/catalogue/database.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { earlierJobs } from '#shared/catalogue/jobs/read-cancellations.ts'
import { sentInTime } from '#shared/catalogue/sent-in-time.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import type { RunAccepted } from '#shared/contracts/messages/run.ts'
import { type AcceptSettings, accept, toStage } from '#shared/jobs/accept.ts'
import { afterCancelling } from '#shared/jobs/after-cancelling.ts'
import { encodeJobOf } from './enumerate.ts'
import { allowanceOf, type WeightOf, windowsOf } from './windows.ts'

/** The most items of a campaign that are released at once: the campaign cannot be paused meanwhile. */
const MAX_AT_ONCE = 500
export interface ReleaseDeps {
  readonly database: Database
  readonly bus: Bus
  readonly settings: AcceptSettings
  readonly weightOf: WeightOf
  readonly stopping: AbortSignal
  /** How long Pub/Sub may take, ms. Default: 5,000. */
  readonly sendMs?: number
}

/**
 * Publishes items of running campaigns, as many of each as its window and its rate allow, and ends campaigns of which
 * nothing is left. Any number of processes may do it at once: each campaign is held by one.
 * @returns how many items were released; 500 of one campaign at most
 */
export async function releaseOnce(deps: ReleaseDeps): Promise<number> {
  const { database, weightOf, stopping } = deps
  const { running, completed } = await readRunning(database, stopping)
  const windows = windowsOf(running, completed, weightOf)
  let released = 0
  for (const { campaign } of running) {
    stopping.throwIfAborted()
    const window = windows.get(campaign.number) ?? 0
    let fault: unknown
    released += await database.transaction(async (query) => {
      const held = await holdRunning(query, campaign.number)
      if (held === undefined) return 0
      return await releaseHeld(query, held, window, deps).catch((error) => {
        // That Pub/Sub does not answer is no fault of the database. Nothing is committed.
        fault = error
        return 0
      })
    }, stopping)
    if (fault !== undefined) throw fault
  }
  return released
}

/**
 * In this order: the rows of the jobs, the messages, the place in the campaign. A process that dies in between has
 * committed no place, so the next one sends the same jobs again.
 */
async function releaseHeld(
  query: Query,
  held: Held,
  window: number,
  { database, bus, settings, stopping, sendMs }: ReleaseDeps,
): Promise<number> {
  const { campaign, open, now, withdrawn } = held
  const pace = allowanceOf(campaign.rate, held.paced, now)
  const room = Math.min(window - open, pace.allowed, MAX_AT_ONCE)
  const items = room > 0 ? await nextItems(query, held, room) : []
  if (items.length === 0) {
    const isLeft = open > 0 || withdrawn > 0 || campaign.released < campaign.items
    if (!isLeft) await endCampaign(query, campaign.number)
    return 0
  }
  const { jobs, refusals } = accepted(items, held, settings)
  const earlier = await earlierJobs(database, jobs, stopping)
  const runs = jobs.map((job) => {
    const before = earlier.get(job.job)
    return before === undefined ? job : afterCancelling(job, before, Number.POSITIVE_INFINITY)
  })
  await acceptJobs(database, runs, stopping)
  const sending = runs.map((run) => {
    const { topic, data, attributes } = toStage(run)
    return bus.publish(topic, { data, attributes })
  })
  // What it takes later is a copy of what is sent then.
  await sentInTime(sending, stopping, sendMs)
  await addRefusals(query, campaign.number, refusals)
  const paced = pace.usedUpTo(items.length)
  await markReleased(query, held, { items, refused: refusals.length, paced })
  return items.length
}

/** The jobs of items; those that the chain does not take any more, because its settings have changed, are refused. */
function accepted(
  items: readonly Item[],
  { campaign, now }: Held,
  settings: AcceptSettings,
): { readonly jobs: readonly RunAccepted[]; readonly refusals: readonly NewRefusal[] } {
  const jobs: RunAccepted[] = []
  const refusals: NewRefusal[] = []
  for (const { asset_guid, request } of items) {
    try {
      const job = encodeJobOf(campaign, { ...request, asset_guid })
      jobs.push(accept(job, settings, { accepted: now.toISOString() }, campaign.tenant))
    } catch (error) {
      if (!(error instanceof PermanentError)) throw error
      const { code, message: sentence } = error
      refusals.push({ line: null, asset_guid, code, sentence, excerpt: null })
    }
  }
  return { jobs, refusals }
}
