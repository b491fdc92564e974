import type { Database, Query } from '../database.ts'
import { addCancellation, type Cancellation } from '../jobs/cancel-jobs.ts'
import { type Budget, CAMPAIGN_COLUMNS, type Campaign, type CampaignState } from './campaign.ts'

/** What can be asked of a campaign. */
export type CampaignMove = 'start' | 'pause' | 'resume' | 'cancel'

/** The states in which each move makes sense, and those in which it has been made already. */
export const MOVES: Readonly<
  Record<
    CampaignMove,
    { readonly from: readonly CampaignState[]; readonly already: readonly CampaignState[] }
  >
> = {
  start: { from: ['draft', 'enumerating'], already: ['running'] },
  pause: { from: ['enumerating', 'running'], already: ['paused'] },
  resume: { from: ['paused', 'cancelled'], already: ['enumerating', 'running'] },
  cancel: { from: ['enumerating', 'draft', 'running', 'paused'], already: ['cancelled'] },
}

/** Who moves a campaign, and why. */
export interface Mover {
  readonly by: string
  readonly reason: string | null
  /** Why it is paused. Default: PAUSED, by an operator. */
  readonly code?: string
}

interface Moved {
  readonly campaign: Campaign
  /** Whether the state allows the move. */
  readonly isAllowed: boolean
  /** What withdraws its open jobs, whose rows are ended afterwards by `endCancelled`; absent: nothing new. */
  readonly cancellation?: Cancellation
}

/**
 * Moves a campaign. What is under way is withdrawn in the same transaction when it is paused or cancelled: services learn
 * of it as of any request that is cancelled. @returns undefined when there is no such campaign
 */
export async function moveCampaign(
  database: Database,
  id: string,
  move: CampaignMove,
  mover: Mover,
  signal?: AbortSignal,
): Promise<Moved | undefined> {
  return await database.transaction(async (query): Promise<Moved | undefined> => {
    // A process that releases its items holds this lock until they are published: what follows is later than that.
    const [campaign] = await query<Campaign>(LOCK, [id])
    if (campaign === undefined) return undefined
    return await moved(query, campaign, move, mover)
  }, signal)
}

/** Moves a campaign whose row is locked. */
async function moved(
  query: Query,
  campaign: Campaign,
  move: CampaignMove,
  { by, reason, code = 'PAUSED' }: Mover,
): Promise<Moved> {
  const { from, already } = MOVES[move]
  if (already.includes(campaign.state)) return { campaign, isAllowed: true }
  if (!from.includes(campaign.state)) return { campaign, isAllowed: false }
  const { number, id } = campaign
  const sentence = reason ?? `by ${by}`
  const values = move === 'pause' ? [number, code, sentence] : [number]
  const [after = campaign] = await query<Campaign>(MOVE[move], values)
  if (move === 'start' || move === 'resume') return { campaign: after, isAllowed: true }
  const words = `its campaign is ${move === 'pause' ? 'paused' : 'cancelled'}${reason === null ? '' : `: ${reason}`}`
  const cancellation = await addCancellation(query, 'request', id, { by, reason: words })
  return { campaign: after, isAllowed: true, cancellation }
}

/** What can be changed under way. Absent: it stays. `rate`: items a minute; null: no limit. */
interface CampaignChange {
  readonly name?: string
  readonly weight?: number
  readonly rate?: number | null
  /** Null: none. */
  readonly budget?: Budget | null
}

/** Changes a campaign. @returns undefined when there is no such campaign */
export async function changeCampaign(
  database: Database,
  id: string,
  change: CampaignChange,
  signal?: AbortSignal,
): Promise<Campaign | undefined> {
  const { name = null, weight = null, rate = null, budget = null } = change
  const spending = [change.budget !== undefined, budget && JSON.stringify(budget)]
  const values = [id, name, weight, rate, change.rate !== undefined, ...spending]
  return (await database.query<Campaign>(CHANGE, values, signal))[0]
}

const LOCK = {
  name: 'campaign-lock',
  text: `select ${CAMPAIGN_COLUMNS} from campaign where id = $1 for update`,
}

const GOES_ON = `
  state = case when enumerated_at is null then 'enumerating' else 'running' end, ended_at = null,
  paused_code = null, paused_sentence = null, resumed_at = clock_timestamp(),
  started_at = coalesce(started_at, case when enumerated_at is not null then clock_timestamp() end)`

const update = (move: CampaignMove, set: string) => ({
  name: `campaign-${move}`,
  text: `update campaign set ${set} where number = $1 returning ${CAMPAIGN_COLUMNS}`,
})

const MOVE = {
  start: update('start', `starts = true, ${GOES_ON}`),
  pause: update('pause', `state = 'paused', paused_code = $2, paused_sentence = $3`),
  resume: update(
    'resume',
    `allows_refused = allows_refused or coalesce(paused_code = 'TOO_MANY_REFUSED', false), ${GOES_ON}`,
  ),
  cancel: update(
    'cancel',
    `state = 'cancelled', paused_code = null, paused_sentence = null, ended_at = clock_timestamp()`,
  ),
}

const CHANGE = {
  name: 'campaign-change',
  text: `
    update campaign set name = coalesce($2, name), weight = coalesce($3::double precision, weight),
      rate = case when $5 then $4::double precision else rate end,
      budget = case when $6 then $7::json else budget end
    where id = $1 returning ${CAMPAIGN_COLUMNS}`,
}
