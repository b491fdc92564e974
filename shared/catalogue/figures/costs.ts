import type { CostKey } from '../../contracts/api/costs.ts'
import type { Database } from '../database.ts'

/** What steps have taken. */
export interface CostFigures {
  /** Deliveries of steps. */
  readonly count: number
  /** On the clock, ms. */
  readonly ms: number
  /** Of the deliveries that reported it, core-milliseconds. */
  readonly core_ms: number
  readonly bytes_read: number
  readonly bytes_written: number
  readonly bytes_from_cloud: number
  readonly bytes_to_cloud: number
  readonly store_operations: number
}

export interface KeptCost extends CostFigures {
  /** What they are of; empty: none. Of `asset`: all the assets that steps made together, with commas. */
  readonly name: string
}

/** The figures of a cost, in the order in which they are shown. */
export const COST_FIGURES = [
  'count',
  'ms',
  'core_ms',
  'bytes_read',
  'bytes_written',
  'bytes_from_cloud',
  'bytes_to_cloud',
  'store_operations',
] as const satisfies readonly (keyof CostFigures)[]

/**
 * What steps have taken that began on the days `from` to `to`, both included.
 * @param from a day (UTC), as `2026-03-01`
 */
export async function readCosts(
  database: Database,
  by: CostKey,
  { from, to }: { readonly from: string; readonly to: string },
  signal?: AbortSignal,
): Promise<readonly KeptCost[]> {
  return await database.query<KeptCost>(READ[by], [from, to], signal)
}

const read = (column: string) => ({
  name: `costs-by-${column}`,
  text: `
    select ${column} as name, ${COST_FIGURES.map((each) => `sum(${each})::double precision as ${each}`).join(', ')}
    from cost where day between $1 and $2
    group by 1 order by 1`,
})

const READ: Readonly<Record<CostKey, ReturnType<typeof read>>> = {
  tenant: read('tenant'),
  asset: read('assets'),
  campaign: read('campaign'),
  route: read('route'),
}
