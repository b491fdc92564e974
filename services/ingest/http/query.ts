import type { TSchema } from 'typebox'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'

/** Time limit of a query to the catalogue, ms. After that the client gets a 503. */
const MAX_MS = 5000

/** Time limit of each statement on the server, ms: below the other, so that nothing runs on for nobody. */
export const STATEMENT_MS = 4500

/**
 * Runs a query on the catalogue with a time limit of 5 s.
 * @throws HttpError UPSTREAM_DOWN when the catalogue does not answer
 */
export async function queryCatalogue<T>(read: (signal: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await read(AbortSignal.timeout(MAX_MS))
  } catch (error) {
    throw new HttpError('UPSTREAM_DOWN', `The catalogue does not answer: ${sentence(error)}`, {
      cause: error,
    })
  }
}

/**
 * Changes the catalogue. A change has the time that it needs: one that is given up may have been made.
 * @throws HttpError UPSTREAM_DOWN when the catalogue does not answer
 */
export async function changeCatalogue<T>(change: () => Promise<T>): Promise<T> {
  try {
    return await change()
  } catch (error) {
    const words = `The catalogue does not answer: ${sentence(error)}. Nothing may have changed: ask again.`
    throw new HttpError('UPSTREAM_DOWN', words, { cause: error })
  }
}

/** How a query writes a number: in digits, so that the meaning is never guessed. */
const NUMBER = /^\d{1,6}(?:\.\d{1,6})?$/

/** A query with numbers where its schema has them; what is written otherwise stays text, which the schema refuses. */
export function withNumbers(query: unknown, schema: TSchema): unknown {
  const { properties = {} } = schema as { properties?: Record<string, { type?: unknown }> }
  return Object.fromEntries(
    Object.entries(query as object).map(([name, value]) => {
      const type = Object.hasOwn(properties, name) ? properties[name]?.type : undefined
      const isNumber = type === 'number' || type === 'integer'
      return [name, isNumber && NUMBER.test(value) ? Number(value) : value]
    }),
  )
}

/** The same as the query of an address. */
export function searchOf(
  query: Readonly<Record<string, string | number | undefined>>,
): URLSearchParams {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) search.set(name, `${value}`)
  return search
}
