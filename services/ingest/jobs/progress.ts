import type { JobStatus } from '#shared/catalogue/jobs/read-jobs.ts'
import { MAX_UNITS } from '#shared/contracts/messages/event.ts'

/** How much of a job is done, in percent, each asset counting the same: 0 to 99, and 100 when the job has ended. */
export function percentOf(job: JobStatus): number {
  if (job.ended !== null || job.setAside) return 100
  const shares = Object.entries(job.assets).map(([asset, verdict]) =>
    verdict === null ? shareOf(job, asset) : 1,
  )
  const share = shares.reduce((sum, each) => sum + each, 0) / shares.length
  return Math.min(99, Math.floor(share * 100))
}

/**
 * The number of units in the plan of a pending asset, and how many of them are done. Empty if that is not
 * known.
 */
export function unitsOf(
  { progress, assets }: JobStatus,
  asset: string,
): { readonly units?: number; readonly units_done?: number } {
  if (!progress?.planned || assets[asset] !== null) return {}
  const { planned, finished } = progress
  const units = planned.filter((unit) => unit.startsWith(`${asset}@`))
  // An asset without units in the plan existed before the run, or cannot be made; publish reports which.
  if (planned.length >= MAX_UNITS || units.length === 0) return {}
  const units_done = units.filter((unit) => finished.includes(unit)).length
  return { units: units.length, units_done }
}

function shareOf(job: JobStatus, asset: string): number {
  const planned = job.progress?.planned
  if (!planned || planned.length >= MAX_UNITS) return 0
  const { units, units_done = 0 } = unitsOf(job, asset)
  return units === undefined ? 1 : units_done / units
}
