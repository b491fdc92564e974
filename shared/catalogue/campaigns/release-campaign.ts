import type { Database, Query } from '../database.ts'
import {
  CAMPAIGN_COLUMNS,
  type Campaign,
  OUTCOMES_OF,
  type Outcomes,
  openOf,
  outcomesOf,
  WITHDRAWN_OF,
} from './campaign.ts'

/** What a campaign has in the queue, and what waits. */
export interface Released {
  readonly campaign: Campaign
  /** The number of items that have been published and have not ended. */
  readonly open: number
  /** The number of items that have been withdrawn from the queue and are to be released again. */
  readonly withdrawn: number
}

/** A running campaign that this transaction holds. */
export interface Held extends Released {
  /** The database's clock: moments of cancellations are of the same one. */
  readonly now: Date
  /** Up to when the rate has been used. */
  readonly paced: Date | null
}

/** An item to be released. */
export interface Item {
  readonly asset_guid: string
  readonly request: Readonly<Record<string, unknown>> | null
}

/** The campaigns that run, with what all campaigns have completed in the last three minutes. */
export async function readRunning(
  database: Database,
  signal?: AbortSignal,
): Promise<{ readonly running: readonly Released[]; readonly completed: number }> {
  const running = await database.query<Columns>(RUNNING, [], signal)
  if (running.length === 0) return { running: [], completed: 0 }
  const [pace] = await database.query<{ completed: number }>(COMPLETED, [], signal)
  return { running: running.map(released), completed: pace?.completed ?? 0 }
}

/**
 * Holds a running campaign until the end of the transaction, so that no other process releases its items, and nobody
 * pauses it, meanwhile. Undefined when another process holds it, or when it does not run any more.
 */
export async function holdRunning(query: Query, campaign: number): Promise<Held | undefined> {
  const [found] = await query<Columns & Pick<Held, 'now' | 'paced'>>(HOLD, [campaign])
  return found && { ...released(found), now: found.now, paced: found.paced }
}

/** The next items: those that were withdrawn first, else by their places. */
export async function nextItems(
  query: Query,
  { campaign, withdrawn }: Released,
  limit: number,
): Promise<readonly Item[]> {
  const { number, released } = campaign
  if (withdrawn > 0) return await query<Item>(WITHDRAWN, [number, limit])
  return await query<Item>(NEXT, [number, released, limit])
}

/** Notes, in the transaction that holds the campaign, that items have been published. `paced`: the rate is used up to then. */
export async function markReleased(
  query: Query,
  { campaign, withdrawn }: Released,
  {
    items,
    refused,
    paced,
  }: { readonly items: readonly Item[]; readonly refused: number; readonly paced: Date | null },
): Promise<void> {
  const { number } = campaign
  const guids = items.map(({ asset_guid }) => asset_guid)
  if (withdrawn > 0) await query(UNWITHDRAW, [number, guids])
  await query(RELEASED, [number, withdrawn > 0 ? 0 : items.length, paced])
  if (refused > 0) await query(COUNT_REFUSED, [number, refused])
  await query(FORGET, [number])
}

/** Ends a campaign that this transaction holds. */
export async function endCampaign(query: Query, campaign: number): Promise<void> {
  await query(DONE, [campaign])
}

interface Columns extends Campaign {
  readonly outcomes: Partial<Outcomes>
  readonly withdrawn: number
}

function released({ outcomes, withdrawn, ...campaign }: Columns): Released {
  return { campaign, withdrawn, open: openOf(campaign, outcomesOf(outcomes)) }
}

const COLUMNS = `${CAMPAIGN_COLUMNS}, ${OUTCOMES_OF} as outcomes, ${WITHDRAWN_OF} as withdrawn`

const RUNNING = {
  name: 'campaigns-running',
  text: `select ${COLUMNS} from campaign where state = 'running' order by number`,
}

const COMPLETED = {
  name: 'campaigns-completed',
  text: `
    select coalesce(sum(ended), 0)::bigint as completed from campaign_pace
    where at > now() - interval '3 minutes'`,
}

const HOLD = {
  name: 'campaign-hold',
  text: `
    select ${COLUMNS}, date_trunc('milliseconds', clock_timestamp()) as now, paced_until as paced
    from campaign where number = $1 and state = 'running' for update skip locked`,
}

const NEXT = {
  name: 'campaign-next',
  text: `
    select asset_guid, request from campaign_item where campaign = $1 and place > $2
    order by place limit $3`,
}

const WITHDRAWN = {
  name: 'campaign-withdrawn',
  text: `
    select gone.asset_guid, item.request from campaign_withdrawn gone
    left join campaign_item item on item.campaign = gone.campaign and item.asset_guid = gone.asset_guid
    where gone.campaign = $1 order by gone.asset_guid limit $2`,
}

const UNWITHDRAW = {
  name: 'campaign-unwithdraw',
  text: 'delete from campaign_withdrawn where campaign = $1 and asset_guid = any ($2)',
}

const RELEASED = {
  name: 'campaign-released',
  text: `
    update campaign set released = released + $2, paced_until = coalesce($3, paced_until)
    where number = $1`,
}

const COUNT_REFUSED = {
  name: 'campaign-count-refused',
  text: `
    insert into kept_count as kept (kind, value, shard, count)
    values ('campaign', $1 || ' refused', own_shard(), $2)
    on conflict (kind, value, shard) do update set count = kept.count + excluded.count`,
}

// More than is looked at for the window, and for when it will end.
const FORGET = {
  name: 'campaign-forget-pace',
  text: `delete from campaign_pace where campaign = $1 and at < now() - interval '2 hours'`,
}

const DONE = {
  name: 'campaign-done',
  text: `update campaign set state = 'done', ended_at = clock_timestamp() where number = $1`,
}
