import type { CAMPAIGN_STATES } from '../../contracts/api/campaign.ts'

export type CampaignState = (typeof CAMPAIGN_STATES)[number]

/** Where the items of a campaign come from. */
export type CampaignSource =
  | {
      readonly kind: 'manifest'
      readonly uri: string
      /** What the manifest was when its first line was read; absent before. */
      readonly revision?: string
      readonly bytes?: number
    }
  | (Question & {
      readonly kind: 'question'
      /** Whether each track is asked for what is stale or missing of it alone. */
      readonly narrows?: boolean
    })
  | {
      readonly kind: 'failed'
      /** The id of the campaign whose failed items these are. */
      readonly campaign: string
    }
  | {
      readonly kind: 'sample'
      /** The id of the campaign of whose items some are run to forecast what all of them cost. */
      readonly campaign: string
    }

/** A question to the catalogue: which tracks. A track has to match the filter, and one of what is stale or lacking. */
interface Question {
  readonly stale?: readonly string[]
  readonly lacks?: readonly string[]
  /** By the names of the query of GET /v1/tracks. */
  readonly filter?: Readonly<Record<string, string | number>>
}

/** What a campaign may spend before it is paused. */
export interface Budget {
  readonly core_seconds?: number
  /** For computing, in the cloud. */
  readonly usd?: number
}

/** What a campaign is forecast to cost. */
export interface Forecast {
  /** The id of the campaign that runs the sample. */
  readonly sample: string
  /** Absent until the sample has ended. */
  readonly result?: {
    /** The number of items of the sample. */
    readonly sampled: number
    /** What the whole list takes, core-seconds, and a range in which it lies in nineteen of twenty cases. */
    readonly core_seconds: number
    readonly from: number
    readonly to: number
    /** The mean length of a track of the list, s; null: not known, taken to be the sample's. */
    readonly seconds: number | null
  }
}

/** What a campaign is and how far it has come. */
export interface Campaign {
  /** Within the catalogue. */
  readonly number: number
  /** Public, and the request_id of its jobs. */
  readonly id: string
  readonly tenant: string
  readonly name: string
  readonly state: CampaignState
  /** Whether it runs as soon as it is enumerated. */
  readonly starts: boolean
  readonly pausedCode: string | null
  readonly pausedSentence: string | null
  readonly source: CampaignSource
  /** What is made of items that do not say. */
  readonly assets: readonly string[]
  /** How far its source has been read, as the reader of that kind of source has it; null before. */
  readonly cursor: object | null
  /** Lines of the source, or tracks, that have been looked at. */
  readonly lookedAt: number
  /** How much of the source that is, 0 to 1. */
  readonly enumerated: number
  readonly allowsRefused: boolean
  readonly items: number
  readonly refused: number
  /** The place up to which items have been published. */
  readonly released: number
  readonly weight: number
  /** Items a minute at most; null: no limit. */
  readonly rate: number | null
  readonly budget: Budget | null
  readonly forecast: Forecast | null
  readonly created: Date
  readonly started: Date | null
  readonly resumed: Date | null
  readonly ended: Date | null
  readonly by: string
}

/** The columns of a campaign, under the names of `Campaign`. */
export const CAMPAIGN_COLUMNS = `number, id, tenant, name, state, starts, paused_code as "pausedCode",
  paused_sentence as "pausedSentence", source, derivative_assets as assets, cursor, looked_at as "lookedAt",
  enumerated, allows_refused as "allowsRefused", items, refused, released, weight, rate, budget, forecast, created_at as created,
  started_at as started, resumed_at as resumed, ended_at as ended, by`

/** What may become of a job of a campaign. */
const OUTCOMES = ['done', 'partial', 'failed', 'cancelled', 'refused'] as const
type Outcome = (typeof OUTCOMES)[number]

/** How many items have ended how; `refused`: those that could not be released. */
export type Outcomes = Readonly<Record<Outcome, number>>

/** SQL for the `Outcomes` of the row `campaign`, as one JSON column. */
export const OUTCOMES_OF = `
  (select coalesce(json_object_agg(split_part(value, ' ', 2), count), '{}') from (
    select value, sum(count)::bigint as count from kept_count
    where kind = 'campaign' and value in (${OUTCOMES.map((each) => `campaign.number || ' ${each}'`).join(', ')})
    group by value) counted)`

/** SQL for how many items of the row `campaign` have been withdrawn from the queue and are to be released again. */
export const WITHDRAWN_OF = `
  (select count(*)::int from campaign_withdrawn where campaign_withdrawn.campaign = campaign.number)`

export function outcomesOf(found: Partial<Outcomes>): Outcomes {
  return { done: 0, partial: 0, failed: 0, cancelled: 0, refused: 0, ...found }
}

/** The number of items that have been released and have not ended. */
export function openOf({ released }: Campaign, outcomes: Outcomes): number {
  return Math.max(0, released - OUTCOMES.reduce((sum, each) => sum + outcomes[each], 0))
}
