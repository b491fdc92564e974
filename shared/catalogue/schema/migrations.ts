import { readFileSync } from 'node:fs'

export interface Migration {
  readonly name: string
  readonly sql: string
}

/**
 * The migrations of the schema, oldest first; the number of a migration is its position, from 1. They only go forward:
 * a released migration is never edited, and new ones are appended. Services of two releases run side by side during an
 * update, so a migration must keep the statements of the previous release working. One that touches every row of a big
 * table does so in batches, with a cursor in a table, while the services run.
 */
export const MIGRATIONS: readonly Migration[] = [
  { name: 'the catalogue', sql: textOf('001-catalogue.sql') },
]

function textOf(file: string): string {
  return readFileSync(new URL(file, import.meta.url), 'utf8')
}
