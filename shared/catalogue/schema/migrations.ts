import { readFileSync } from 'node:fs'

interface Named {
  readonly name: string
}

/** A migration that is applied at once, in the transaction that notes it. It takes no longer than a statement may. */
interface AtOnce extends Named {
  readonly sql: string
}

/**
 * A migration that touches every row of a big table: batch by batch, while the services run. `batch` is a statement that
 * changes the rows after `$1`, the cursor (text; null at first), `$2` of them at most, and returns one row: `cursor`, the
 * last of them as text, and `rows`, how many there were. It must be right to run it twice. `all` counts or guesses the
 * rows that there are. What the batches fill in must be right in the meantime as well: a trigger or the services write it
 * into rows that are new.
 */
export interface Batched extends Named {
  readonly batch: string
  readonly all: string
}

export type Migration = AtOnce | Batched

/**
 * The migrations of the schema, oldest first; the number of a migration is its position, from 1. They only go forward:
 * a released migration is never edited, and new ones are appended. Services of two releases run side by side during an
 * update, so a migration must keep the statements of the previous release working. One that touches every row of a big
 * table is batched (schema/batches.ts); those after it wait for its end.
 */
export const MIGRATIONS: readonly Migration[] = [
  { name: 'the catalogue', sql: textOf('001-catalogue.sql') },
  { name: 'cancellations', sql: textOf('002-cancellation.sql') },
]

function textOf(file: string): string {
  return readFileSync(new URL(file, import.meta.url), 'utf8')
}
