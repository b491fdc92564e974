import { buffer } from 'node:stream/consumers'
import { PermanentError } from '../../contracts/errors/chain.ts'
import { sentence } from '../../contracts/errors/sentence.ts'
import { json } from '../../contracts/message.ts'
import { type Derivative, MAX_RESULT_BYTES, type Streamed } from '../definition.ts'

/** The maximum nesting of a result, because every reader parses it. */
const MAX_DEPTH = 32

interface Result {
  readonly bytes: Uint8Array
  readonly value: unknown
}

/**
 * Reads the result of an asset and checks it before it is stored.
 * @throws PermanentError RENDER_FAILED when it is not JSON, too long or too deep; errors of the file.
 */
export async function resultOf(
  file: Uint8Array | Streamed,
  { id, version }: Derivative,
): Promise<Result> {
  const fault = (words: string, options?: ErrorOptions) =>
    new PermanentError('RENDER_FAILED', `${id}@${version}: a result ${words}`, options)
  if (file.byteLength > MAX_RESULT_BYTES)
    throw fault(`of ${file.byteLength} bytes, the limit is ${MAX_RESULT_BYTES}`)
  const bytes = file instanceof Uint8Array ? file : await buffer(file)
  let value: unknown
  try {
    value = json(bytes, 'it')
  } catch (error) {
    throw fault(`that cannot be read: ${sentence(error)}`, { cause: error })
  }
  if (isDeeper(value, MAX_DEPTH)) throw fault(`of more than ${MAX_DEPTH} levels`)
  return { bytes, value }
}

function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return depth === 0 || Object.values(value).some((each) => isDeeper(each, depth - 1))
}
