import type { Operation, Upstream } from '../frame/upstreams/breaker.ts'
import { type Database, isAboutData, ping } from './database.ts'

/** Wraps a database for services that write to it: its faults are reported to the upstream. */
export function watchedDatabase(database: Database, upstream: Upstream): Database {
  // Each statement is a kind of its own: on a full disk reads succeed while writes fail.
  const operation = (kind: string, signal: AbortSignal | undefined): Operation => ({
    kind,
    signal,
    probe: (within) => ping(database, within),
    isExpected: isAboutData,
  })
  return {
    query: (statement, values, signal) =>
      upstream.call(
        () => database.query(statement, values, signal),
        operation(statement.name ?? 'query', signal),
      ),
    transaction: (work, signal) =>
      upstream.call(() => database.transaction(work, signal), operation('transaction', signal)),
    close: () => database.close(),
  }
}
