import type { Callback } from '../../contracts/messages/callback.ts'
import type { Database } from '../database.ts'

/**
 * Hands callbacks on that nobody has had yet, the oldest first. They are `sent` in the transaction that marks them, so
 * that a crash sends them again, under the same ids. Several processes may do this at once.
 * @param limit how many at most
 * @returns how many
 */
export async function relayCallbacks(
  database: Database,
  limit: number,
  sent: (callbacks: readonly Callback[]) => Promise<void>,
  signal?: AbortSignal,
): Promise<number> {
  return await database.transaction(async (query) => {
    const due = await query<{ number: number; body: Callback }>(DUE, [limit])
    if (due.length === 0) return 0
    await sent(due.map(({ body }) => body))
    await query(MARK, [due.map(({ number }) => number)])
    return due.length
  }, signal)
}

const DUE = {
  name: 'callbacks-due',
  text: `
    select number, body from callback where relayed_at is null
    order by number limit $1 for update skip locked`,
}

const MARK = {
  name: 'callbacks-relayed',
  text: 'update callback set relayed_at = now() where number = any ($1::bigint[])',
}
