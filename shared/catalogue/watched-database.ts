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
    transaction(work, signal) {
      // What else fails within a transaction, e.g. a publish, is no fault of the database.
      let isElsewhere = false
      const act = () =>
        database.transaction(async (query) => {
          let fault: unknown
          try {
            return await work((statement, values) =>
              query<never>(statement, values).catch((error) => {
                fault = error
                throw error
              }),
            )
          } catch (error) {
            isElsewhere = error !== fault
            throw error
          }
        }, signal)
      const of = operation('transaction', signal)
      const isExpected = (error: unknown) => isElsewhere || of.isExpected?.(error) === true
      return upstream.call(act, { ...of, isExpected })
    },
    close: () => database.close(),
  }
}
