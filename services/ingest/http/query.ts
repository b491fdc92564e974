import { sentence } from '#shared/contracts/errors/chain.ts'
import { Unavailable } from './problem.ts'

/** Time limit of a query to the catalogue, ms. After that the client gets a 503. */
const MAX_MS = 5000

/**
 * Runs a query on the catalogue with a time limit of 5 s.
 * @throws Unavailable when the catalogue does not answer
 */
export async function reading<T>(read: (signal: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await read(AbortSignal.timeout(MAX_MS))
  } catch (error) {
    throw new Unavailable(`The catalogue does not answer: ${sentence(error)}`, { cause: error })
  }
}
