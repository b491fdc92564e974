import type { Query } from '../database.ts'
import { clipped, rows } from '../parameters.ts'
import { CAMPAIGN_COLUMNS, type Campaign, type CampaignSource } from './campaign.ts'

/** An item as its source has it. */
export interface NewItem {
  /** The line of the manifest; null where there is none. */
  readonly line: number | null
  readonly asset_guid: string
  /** What its EncodeJob has beside the track and the campaign's own; null: nothing. */
  readonly request: object | null
}

/** What could not become an item, or could not be released. */
export interface NewRefusal {
  readonly line: number | null
  readonly asset_guid: string | null
  readonly code: string
  readonly sentence: string
  /** The beginning of the line. */
  readonly excerpt: string | null
}

/** How far a step of the enumeration has come. */
interface Step {
  readonly source: CampaignSource
  readonly cursor: object
  /** Lines of the source, or tracks, that this step has looked at. */
  readonly lookedAt: number
  /** How much of the source has been read, 0 to 1. */
  readonly enumerated: number
  readonly isEnd: boolean
  readonly items: number
  readonly refused: number
}

/** The longest beginning of a line that is kept, characters. */
const MAX_EXCERPT = 200
const MAX_SENTENCE = 2000

/**
 * Takes the oldest campaign that is to be enumerated, for this transaction: no other process works on it meanwhile.
 * @param except the numbers of those that are left for later
 */
export async function takeEnumerating(
  query: Query,
  except: readonly number[] = [],
): Promise<Campaign | undefined> {
  return (await query<Campaign>(TAKE, [except]))[0]
}

/**
 * Adds items behind the last one. A track that the campaign has already is refused instead (code TWICE).
 * @returns how many were added, and refused
 */
export async function addItems(
  query: Query,
  campaign: Pick<Campaign, 'number' | 'items'>,
  items: readonly NewItem[],
): Promise<{ readonly added: number; readonly refused: number }> {
  if (items.length === 0) return { added: 0, refused: 0 }
  const numbered = items.map((item, nth) => ({ ...item, nth }))
  const values = [campaign.number, campaign.items, rows(numbered)]
  const [counts] = await query<{ added: number; refused: number }>(ADD, values)
  return counts ?? { added: 0, refused: 0 }
}

export async function addRefusals(
  query: Query,
  campaign: number,
  refusals: readonly NewRefusal[],
): Promise<void> {
  if (refusals.length === 0) return
  const short = refusals.map((each) => ({
    ...each,
    sentence: clipped(each.sentence, MAX_SENTENCE),
    excerpt: each.excerpt === null ? null : clipped(each.excerpt, MAX_EXCERPT),
  }))
  await query(REFUSE, [campaign, rows(short)])
}

/** Moves the cursor. At the end of the source the campaign is a draft, or runs if it starts by itself. */
export async function moveCursor(query: Query, campaign: number, step: Step): Promise<void> {
  const { isEnd, lookedAt, enumerated, items, refused, source, cursor } = step
  const json = [JSON.stringify(source), JSON.stringify(cursor)]
  await query(MOVE, [campaign, ...json, lookedAt, enumerated, items, refused, isEnd])
}

/** Pauses a campaign that could not be enumerated to its end. */
export async function stopEnumerating(
  query: Query,
  campaign: number,
  code: string,
  sentence: string,
): Promise<void> {
  await query(STOP, [campaign, code, sentence])
}

const TAKE = {
  name: 'campaign-take',
  text: `
    select ${CAMPAIGN_COLUMNS} from campaign
    where state = 'enumerating' and number <> all ($1)
    order by number limit 1 for update skip locked`,
}

// One process adds to a campaign at a time, because it holds its row. The keys are looked up one by one: a table that is
// being filled has no statistics.
const ADD = {
  name: 'campaign-items',
  text: `
    with given as materialized (
      select nth, line, asset_guid, request,
        row_number() over (partition by asset_guid order by nth) > 1 as is_copy
      from json_to_recordset($3) as r (nth int, line bigint, asset_guid text, request json)
    ), known as materialized (
      select given.*, item.place from given left join lateral (
        select place from campaign_item
        where campaign = $1 and campaign_item.asset_guid = given.asset_guid collate "C" offset 0
      ) item on true
    ), added as (
      insert into campaign_item (campaign, place, asset_guid, request)
      select $1, $2::bigint + row_number() over (order by nth), asset_guid, request
      from known where place is null and not is_copy
      returning place
    ), refused as (
      insert into campaign_refusal (campaign, line, asset_guid, code, sentence)
      select $1, line, asset_guid, 'TWICE', 'the list has this track already'
        || coalesce(', as item ' || place, '')
      from known where place is not null or is_copy order by nth
      returning 1
    )
    select (select count(*)::int from added) as added, (select count(*)::int from refused) as refused`,
}

const REFUSE = {
  name: 'campaign-refuse',
  text: `
    insert into campaign_refusal (campaign, line, asset_guid, code, sentence, excerpt)
    select $1, line, asset_guid, code, sentence, excerpt
    from json_to_recordset($2) as r (line bigint, asset_guid text, code text, sentence text, excerpt text)`,
}

const MOVE = {
  name: 'campaign-cursor',
  text: `
    update campaign set source = $2, cursor = $3, looked_at = looked_at + $4, enumerated = $5,
      items = items + $6, refused = refused + $7,
      state = case when not $8 then state when starts then 'running' else 'draft' end,
      enumerated_at = case when $8 then clock_timestamp() end,
      started_at = case when $8 and starts then clock_timestamp() end,
      resumed_at = case when $8 and starts then clock_timestamp() else resumed_at end
    where number = $1`,
}

const STOP = {
  name: 'campaign-stop',
  text: `
    update campaign set state = 'paused', paused_code = $2, paused_sentence = $3 where number = $1`,
}
