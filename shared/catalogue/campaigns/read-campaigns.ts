import type { Database } from '../database.ts'
import { cutPage, pageSize } from '../pages.ts'
import {
  CAMPAIGN_COLUMNS,
  type Campaign,
  OUTCOMES_OF,
  type Outcomes,
  openOf,
  outcomesOf,
  WITHDRAWN_OF,
} from './campaign.ts'
import { SPENT } from './forecast-campaign.ts'

/** A campaign with what has become of its items. */
export interface CampaignStatus {
  readonly campaign: Campaign
  readonly outcomes: Outcomes
  /** Items that are in the queue. */
  readonly open: number
  /** Items that have not been released, or were withdrawn. */
  readonly waiting: number
  /** When its last item will have ended; null while nothing tells. */
  readonly eta: Eta | null
  /** What it and its sample have taken, core-seconds. */
  readonly spent: number
}

/** The likeliest moment, and a range in which it lies in nineteen of twenty cases if the pace stays as it is. */
interface Eta {
  readonly at: Date
  readonly from: Date
  /** Null: nothing tells. */
  readonly to: Date | null
}

interface Refusal {
  readonly number: number
  readonly line: number | null
  readonly asset_guid: string | null
  readonly code: string
  readonly sentence: string
  readonly excerpt: string | null
}

/** A campaign; undefined when there is none with this id. */
export async function findCampaign(
  database: Database,
  id: string,
  signal?: AbortSignal,
): Promise<CampaignStatus | undefined> {
  return (await database.query<Columns>(FIND, [id], signal)).map(status)[0]
}

/** Campaigns, the latest first, with a lower number than `after`. `limit`: 1 to 1,000. */
export async function listCampaigns(
  database: Database,
  { limit, after }: { readonly limit: number; readonly after?: number | undefined },
  signal?: AbortSignal,
): Promise<{ readonly campaigns: readonly CampaignStatus[]; readonly next?: number }> {
  const size = pageSize(limit)
  const values = [after ?? Number.MAX_SAFE_INTEGER, size + 1]
  const { page, last } = cutPage(await database.query<Columns>(LIST, values, signal), size)
  return { campaigns: page.map(status), ...(last === undefined ? {} : { next: last.number }) }
}

/** What of a campaign was refused, in the order in which it was found, after the refusal `after`. `limit`: 1 to 1,000. */
export async function campaignRefusals(
  database: Database,
  campaign: number,
  { limit, after = 0 }: { readonly limit: number; readonly after?: number | undefined },
  signal?: AbortSignal,
): Promise<{ readonly refusals: readonly Refusal[]; readonly next?: number }> {
  const size = pageSize(limit)
  const found = await database.query<Refusal>(REFUSALS, [campaign, after, size + 1], signal)
  const { page, last } = cutPage(found, size)
  return { refusals: page, ...(last === undefined ? {} : { next: last.number }) }
}

/** The slices of time that show how steady the pace is. */
const SLICES = 12
/** Fewer jobs than these say nothing about a pace. */
const MIN_JOBS = 10
/** Ten seconds, as `campaign_pace` counts. */
const SLOT_MS = 10_000

/**
 * When `left` more items will have ended. `slots`: how many ended in ten seconds each, by the ms of their beginning,
 * the current one included.
 */
function etaOf(
  left: number,
  slots: readonly { readonly at: number; readonly ended: number }[],
  nowMs: number,
): Eta | null {
  const [first] = slots
  const jobs = slots.reduce((sum, { ended }) => sum + ended, 0)
  if (first === undefined || jobs < MIN_JOBS || left === 0) return null
  const wholeMs = nowMs - first.at
  if (wholeMs < 2 * SLOT_MS) return null
  const sliceMs = Math.max(SLOT_MS, Math.ceil(wholeMs / SLICES / SLOT_MS) * SLOT_MS)
  const slices = new Array<number>(Math.ceil(wholeMs / sliceMs)).fill(0)
  for (const { at, ended } of slots) {
    const nth = Math.min(slices.length - 1, Math.floor((at - first.at) / sliceMs))
    slices[nth] = (slices[nth] ?? 0) + ended
  }
  // The last slice has not ended.
  const whole = slices.slice(0, -1)
  const mean = whole.reduce((sum, each) => sum + each, 0) / Math.max(1, whole.length)
  const variance =
    whole.reduce((sum, each) => sum + (each - mean) ** 2, 0) / Math.max(1, whole.length - 1)
  // Of the mean, relative. Single jobs that come by chance are the least that it can be.
  const error = Math.max(
    mean > 0 ? Math.sqrt(variance / Math.max(1, whole.length)) / mean : 1,
    1 / Math.sqrt(jobs),
  )
  const leftMs = (left * wholeMs) / jobs
  const after = (share: number) => new Date(nowMs + leftMs * share)
  const slowest = 1 - 2 * error
  return {
    at: after(1),
    from: after(1 / (1 + 2 * error)),
    to: slowest > 0 ? after(1 / slowest) : null,
  }
}

interface Columns extends Campaign {
  readonly outcomes: Partial<Outcomes>
  readonly withdrawn: number
  readonly slots: readonly { readonly at: number; readonly ended: number }[]
  readonly now: Date
  readonly spent: number
}

function status({
  outcomes: found,
  withdrawn,
  slots,
  now,
  spent,
  ...campaign
}: Columns): CampaignStatus {
  const counted = outcomesOf(found)
  // What was withdrawn is cancelled until it is released again.
  const outcomes = { ...counted, cancelled: Math.max(0, counted.cancelled - withdrawn) }
  const waiting = campaign.items - campaign.released + withdrawn
  const open = openOf(campaign, counted)
  const isRunning = campaign.state === 'running'
  const eta = isRunning ? etaOf(waiting + open, slots, now.getTime()) : null
  return { campaign, outcomes, open, waiting, eta, spent }
}

const SELECT = `
  select ${CAMPAIGN_COLUMNS}, ${OUTCOMES_OF} as outcomes, now() as now, ${SPENT} as spent,
    ${WITHDRAWN_OF} as withdrawn,
    (select coalesce(json_agg(json_build_object('at', extract(epoch from at) * 1000, 'ended', ended) order by at), '[]')
      from (
        select at, sum(ended)::bigint as ended from campaign_pace
        where campaign_pace.campaign = campaign.number and at > now() - interval '30 minutes'
          and at >= resumed_at - interval '10 seconds'
        group by at
      ) slots) as slots
  from campaign`

const FIND = { name: 'campaign-find', text: `${SELECT} where id = $1` }

const LIST = {
  name: 'campaigns-list',
  text: `${SELECT} where number < $1 order by number desc limit $2`,
}

const REFUSALS = {
  name: 'campaign-refusals',
  text: `
    select number, line, asset_guid, code, sentence, excerpt from campaign_refusal
    where campaign = $1 and number > $2 order by number limit $3`,
}
