import { createHash } from 'node:crypto'
import type { Database, Query } from '../database.ts'
import type { Budget, Forecast } from './campaign.ts'
import { createCampaign, type NewCampaign } from './create-campaign.ts'
import type { Item } from './release-campaign.ts'

/** A campaign whose sample has ended, and has not been evaluated. */
interface DueForecast {
  readonly number: number
  readonly id: string
  readonly items: number
  readonly sample: string
}

/** Places of a campaign's list as good as drawn at random, the same ones each time; all of them when there are no more. */
export function samplePlaces(campaign: string, items: number, size: number): readonly number[] {
  if (items <= size) return Array.from({ length: items }, (_, index) => index + 1)
  const places = new Set<number>()
  for (let nth = 0; places.size < size; nth++) {
    const hash = createHash('sha256').update(`${campaign} ${nth}`).digest()
    places.add(1 + (hash.readUIntBE(0, 6) % items))
  }
  return [...places].sort((a, b) => a - b)
}

/** The items of a campaign at `size` such places. */
export async function sampleOf(
  query: Query,
  campaign: string,
  size: number,
): Promise<readonly Item[]> {
  const text = 'select items from campaign where id = $1'
  const [found] = await query<{ items: number }>({ text }, [campaign])
  return await query<Item>(ITEMS, [campaign, samplePlaces(campaign, found?.items ?? 0, size)])
}

/** Creates the campaign that runs the sample of another one, unless there is one already. */
export async function createSample(
  database: Database,
  campaign: string,
  sample: NewCampaign,
): Promise<void> {
  const text = `update campaign set forecast = json_build_object('sample', $2::text)
    where id = $1 and forecast is null returning id`
  await database.transaction(async (query) => {
    const noted = await query({ text }, [campaign, sample.id])
    if (noted.length > 0) await createCampaign({ query }, sample)
  })
}

/** The campaigns whose samples have ended a while ago, so that all events of them have been recorded. */
export async function dueForecasts(
  database: Database,
  signal?: AbortSignal,
): Promise<readonly DueForecast[]> {
  return await database.query<DueForecast>(DUE, [], signal)
}

/** What each item of a sample has taken, and how long its track is. */
export async function sampledItems(
  query: Query,
  sample: string,
): Promise<readonly { readonly seconds: number | null; readonly coreSeconds: number }[]> {
  return await query(SAMPLED, [sample])
}

/** The mean length of the tracks at these places, s; null where that of fewer than half of them is known. */
export async function meanSecondsAt(
  query: Query,
  campaign: number,
  places: readonly number[],
): Promise<number | null> {
  const [found] = await query<{ seconds: number | null; known: number }>(LENGTHS, [
    campaign,
    places,
  ])
  return found !== undefined && found.known >= places.length / 2 ? found.seconds : null
}

export async function keepForecast(
  query: Query,
  campaign: number,
  forecast: Forecast,
): Promise<void> {
  const text = 'update campaign set forecast = $2 where number = $1'
  await query({ name: 'forecast-keep', text }, [campaign, JSON.stringify(forecast)])
}

/** What a running campaign has spent, and may spend. */
interface Spending {
  readonly id: string
  readonly core_seconds: number
  readonly budget: Budget
}

/** The running campaigns with a budget, each with what it and its sample have spent. */
export async function budgetsOfRunning(
  database: Database,
  signal?: AbortSignal,
): Promise<readonly Spending[]> {
  return await database.query<Spending>(BUDGETS, [], signal)
}

/** SQL: the core-seconds that the row `campaign` and its sample have taken. */
export const SPENT = `
  (select coalesce(sum(core_ms), 0) / 1000 from cost
    -- So that its index serves, which has no empty ones, and another collation than ids.
    where cost.campaign <> ''
      and cost.campaign in (campaign.id collate "default", campaign.forecast ->> 'sample'))`

const ITEMS = {
  name: 'forecast-items',
  text: `
    select asset_guid, request from campaign_item
    where campaign = (select number from campaign where id = $1) and place = any ($2::bigint[])
    order by place`,
}

/** How long after the last job of a sample its last event may come, s. */
const EVENTS_LATE_SECONDS = 10

const DUE = {
  name: 'forecasts-due',
  text: `
    select campaign.number, campaign.id, campaign.items, sample.id as sample
    from campaign join campaign sample on sample.id = campaign.forecast ->> 'sample'
    where campaign.forecast is not null and campaign.forecast -> 'result' is null
      and sample.state = 'done' and sample.ended_at < now() - interval '${EVENTS_LATE_SECONDS} seconds'
    order by 1 limit 10`,
}

const SAMPLED = {
  name: 'forecast-sampled',
  text: `
    select samples::double precision / 44100 as seconds, (
      select coalesce(sum(cpu_ms), 0) / 1000 from event
      where event.track = job.asset_guid and event.job = job.id
        and event.at >= job.accepted_at - interval '1 day'
    ) as "coreSeconds"
    from job left join track_listing using (asset_guid)
    where job.request_id = $1`,
}

const LENGTHS = {
  name: 'forecast-lengths',
  text: `
    select avg(samples)::double precision / 44100 as seconds, count(samples)::int as known
    from unnest($2::bigint[]) asked (place)
    join campaign_item item on item.campaign = $1 and item.place = asked.place
    left join track_listing using (asset_guid)`,
}

const BUDGETS = {
  name: 'campaign-budgets',
  text: `
    select id, budget, ${SPENT} as core_seconds from campaign
    where state = 'running' and budget is not null`,
}
