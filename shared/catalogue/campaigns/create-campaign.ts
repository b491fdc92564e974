import { randomBytes } from 'node:crypto'
import { CAMPAIGN_ID_START } from '../../contracts/names.ts'
import type { Query } from '../database.ts'
import { rows } from '../parameters.ts'
import {
  type Budget,
  CAMPAIGN_COLUMNS,
  type Campaign,
  type CampaignSource,
} from './campaign.ts'

/** A campaign that is wanted. */
export interface NewCampaign {
  readonly id: string
  readonly tenant: string
  readonly name: string
  readonly source: CampaignSource
  readonly assets: readonly string[]
  readonly starts: boolean
  readonly weight: number
  /** Items a minute at most; null: no limit. */
  readonly rate: number | null
  /** Default: none. */
  readonly budget?: Budget | null
  readonly by: string
}

/** An id for a campaign. Later ones sort behind earlier ones. `now`: ms since 1970. */
export function campaignId(now = Date.now()): string {
  const chance = randomBytes(4).readUInt32BE() % 36 ** 4
  return `${CAMPAIGN_ID_START}${now.toString(36).padStart(9, '0')}${chance.toString(36).padStart(4, '0')}`
}

/** Adds a campaign, which publish then enumerates. Doing it again with the same id changes nothing. */
export async function createCampaign(
  { query }: { readonly query: Query },
  wanted: NewCampaign,
): Promise<Campaign> {
  const [created] = await query<Campaign>(CREATE, [rows([wanted])])
  if (created === undefined) throw new Error('the database added no campaign')
  return created
}

const CREATE = {
  name: 'campaign-create',
  text: `
    insert into campaign (id, tenant, name, state, starts, source, derivative_assets, weight, rate, budget, by)
    select id, tenant, name, 'enumerating', starts, source, array(select json_array_elements_text(assets)),
      weight, rate, budget, by
    from json_to_recordset($1) as r (id text, tenant text, name text, starts boolean, source json,
      assets json, weight double precision, rate double precision, budget json, by text)
    on conflict (id) do update set id = excluded.id
    returning ${CAMPAIGN_COLUMNS}`,
}
