import { BUDGET_MS, HARD_LIMIT_MS } from '../../contracts/stages.ts'

/** What events come to is kept for each minute, for each ten minutes, and for each day (UTC). */
export const MINUTE_SECONDS = 60
export const BUCKET_SECONDS = 600
export const DAY_SECONDS = 86_400

/** The columns of durations of rows of `event`, summed up. */
export const SUMS = `count(*) as count, sum(ms) as ms, max(ms) as longest_ms, coalesce(sum(cpu_ms), 0) as core_ms,
  count(*) filter (where ms > ${BUDGET_MS}) as over_budget,
  count(*) filter (where ms > ${HARD_LIMIT_MS}) as over_hard_limit`

const AMOUNTS = [
  'bytes_read',
  'bytes_written',
  'bytes_from_cloud',
  'bytes_to_cloud',
  'store_operations',
]
const TIMES = ['count', 'ms', 'core_ms', 'over_budget', 'over_hard_limit']

/** The start of the span of that length that `at` lies in. */
const startOf = (seconds: number) =>
  `to_timestamp(floor(extract(epoch from at) / ${seconds}) * ${seconds})`

const adding = (columns: readonly string[]) => `do update set
    longest_ms = greatest(kept.longest_ms, excluded.longest_ms),
    ${columns.map((each) => `${each} = kept.${each} + excluded.${each}`).join(', ')}`

/** SQL that adds the new events `recorded` to what is kept of buckets of that length, in the transaction that records them. */
const added = (table: string, seconds: number) => `
  insert into ${table} as kept (bucket, step, verdict, route, asset, class, count, ms, longest_ms,
    core_ms, over_budget, over_hard_limit, ${AMOUNTS.join(', ')})
  select ${startOf(seconds)} as bucket, step, verdict, coalesce(route, ''),
    coalesce((select case when count(distinct id) = 1 then min(id) end
      from unnest(units) unit, split_part(unit, '@', 1) id), '') as asset,
    class_of(ms), ${SUMS}, ${AMOUNTS.map((each) => `coalesce(sum(${each}), 0)`).join(', ')}
  from recorded
  group by 1, 2, 3, 4, 5, 6
  order by 1, 2, 3, 4, 5, 6
  on conflict (bucket, step, verdict, route, asset, class) ${adding([...TIMES, ...AMOUNTS])}`

export const ADD_ACTIVITY = added('activity', BUCKET_SECONDS)
export const ADD_ACTIVITY_OF_DAY = added('activity_day', DAY_SECONDS)

export const ADD_ACTIVITY_OF_MINUTE = `
  insert into activity_minute as kept (minute, step, verdict, class, count, ms, longest_ms, core_ms,
    over_budget, over_hard_limit)
  select ${startOf(MINUTE_SECONDS)} as minute, step, verdict, class_of(ms), ${SUMS}
  from recorded
  group by 1, 2, 3, 4
  order by 1, 2, 3, 4
  on conflict (minute, step, verdict, class) ${adding(TIMES)}`

/** The duration in ms that half of a class (SQL: `class_of`) are below: four classes to an octave. */
export function msOfClass(ofClass: number): number {
  return 2 ** ((ofClass + 0.5) / 4)
}
