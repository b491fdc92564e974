import type { Query } from './database.ts'

/**
 * Adds assets that were made and that failed to what is counted of this minute, in the transaction that records them.
 */
export async function countMinute(query: Query, made: number, failed: number): Promise<void> {
  if (made + failed > 0) await query(ADD, [made, failed])
}

/** SQL that adds to what is counted of this minute: numbers of assets made, assets failed and jobs announced. */
export const addToMinute = (made: string, failed: string, announced: string) => `
  insert into minute_count as kept (minute, shard, made, failed, announced)
  values (date_trunc('minute', now()), own_shard(), ${made}, ${failed}, ${announced})
  on conflict (minute, shard) do update set made = kept.made + excluded.made,
    failed = kept.failed + excluded.failed, announced = kept.announced + excluded.announced`

const ADD = { name: 'minutes-add', text: addToMinute('$1', '$2', '0') }
