import type { Budget } from '#shared/catalogue/campaigns/campaign.ts'
import {
  budgetsOfRunning,
  dueForecasts,
  keepForecast,
  meanSecondsAt,
  sampledItems,
  samplePlaces,
} from '#shared/catalogue/campaigns/forecast-campaign.ts'
import { moveCampaign } from '#shared/catalogue/campaigns/move-campaign.ts'
import { atOnce, type Database } from '#shared/catalogue/database.ts'
import { computeUsd } from '#shared/contracts/prices.ts'
import { estimateOf } from './estimate.ts'

/** The tracks of a list whose lengths are asked for: their mean is right to a hundredth or so. */
const LENGTHS = 10_000

/** Evaluates the samples that have ended. @returns how many */
export async function forecastOnce(database: Database, stopping: AbortSignal): Promise<number> {
  const query = atOnce(database, stopping)
  const due = await dueForecasts(database, stopping)
  for (const { number, id, items, sample } of due) {
    const sampled = await sampledItems(query, sample)
    const places = samplePlaces(id, items, LENGTHS)
    const seconds = await meanSecondsAt(query, number, places)
    const {
      coreSeconds = 0,
      from = 0,
      to = 0,
    } = estimateOf(sampled, { items, meanSeconds: seconds }) ?? {}
    const result = { sampled: sampled.length, core_seconds: coreSeconds, from, to, seconds }
    await keepForecast(query, number, { sample, result })
  }
  return due.length
}

/**
 * Pauses running campaigns that have spent what they may. What was in the queue until then is withdrawn; steps that were
 * running are spent nevertheless, and so is what is recorded late.
 * @returns how many
 */
export async function holdToBudgets(
  database: Database,
  stopping: AbortSignal,
): Promise<number> {
  let paused = 0
  for (const { id, core_seconds: spent, budget } of await budgetsOfRunning(
    database,
    stopping,
  )) {
    const reason = overrun(spent, budget)
    if (reason === undefined) continue
    await moveCampaign(
      database,
      id,
      'pause',
      { by: 'publish', reason, code: 'BUDGET' },
      stopping,
    )
    paused++
  }
  return paused
}

/** That more is spent than a budget allows; undefined: it is not. */
function overrun(spent: number, { core_seconds, usd }: Budget): string | undefined {
  if (core_seconds !== undefined && spent >= core_seconds)
    return `${Math.round(spent)} core-seconds are spent, and its budget is ${core_seconds}`
  const cost = computeUsd(spent)
  if (usd === undefined || cost < usd) return undefined
  return `$${cost.toFixed(2)} are spent, and its budget is $${usd}`
}
