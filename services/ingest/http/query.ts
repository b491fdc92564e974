import { sentence } from '#shared/contracts/errors/chain.ts'
import { Unavailable } from './problem.ts'

/** How long a read of the catalogue may take before the client is told to come again, ms. */
const MAX_MS = 5000

/** Reads the catalogue. @throws Unavailable when it does not answer. */
export async function reading<T>(read: (signal: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await read(AbortSignal.timeout(MAX_MS))
  } catch (error) {
    throw new Unavailable(`The catalogue does not answer: ${sentence(error)}`, { cause: error })
  }
}
