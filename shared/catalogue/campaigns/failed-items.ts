import { jobId } from '../../contracts/names.ts'
import type { Query } from '../database.ts'
import type { Item } from './release-campaign.ts'

/** The items of a range of places. */
interface FailedRange {
  /** Those whose jobs have failed, in whole or in part. */
  readonly items: readonly Item[]
  /** The last place of the range; null when no item follows. */
  readonly last: number | null
  readonly lookedAt: number
}

/** Looks for failed items among the next `limit` ones of a campaign behind the place `after`. */
export async function failedItems(
  query: Query,
  campaign: string,
  after: number,
  limit: number,
): Promise<FailedRange> {
  const items = await query<Placed>(ITEMS, [campaign, after, limit])
  const jobs = new Map(items.map((item) => [jobId(campaign, item.asset_guid) as string, item]))
  const failed = await query<{ id: string }>(FAILED, [[...jobs.keys()]])
  const found = failed.flatMap(({ id }) => jobs.get(id) ?? [])
  return {
    items: found.toSorted((a, b) => a.place - b.place),
    last: items.at(-1)?.place ?? null,
    lookedAt: items.length,
  }
}

interface Placed extends Item {
  readonly place: number
}

const ITEMS = {
  name: 'campaign-items-after',
  text: `
    select place, asset_guid, request from campaign_item
    where campaign = (select number from campaign where id = $1) and place > $2
    order by place limit $3`,
}

const FAILED = {
  name: 'campaign-failed',
  text: `
    select id from job
    where id = any ($1) and outcome_of(state, ended_at, dead_lettered_run, run) in ('failed', 'partial')`,
}
