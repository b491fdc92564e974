import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import { PermanentError } from '#shared/errors.ts'
import { json } from '#shared/message.ts'
import type { Accepting } from './accepting.ts'
import type { HttpDeps } from './deps.ts'
import { type Line, lines } from './lines.ts'
import { pipelined } from './pipelined.ts'
import { problemOf } from './problem.ts'

/** The usual name first; the others are in use for the same. */
export const LINE_TYPES = ['application/x-ndjson', 'application/ndjson', 'application/jsonl']

/** The longest line, bytes. */
const LONGEST_LINE = 64 * 1024
/** Lines that are handed on together, and how many such groups are under way at most: 500 lines. */
const GROUP = 50
const WIDTH = 10
/** Results that may wait for a client that sends all before it reads, bytes: some 40,000 lines. */
const MOST_WAITING = 8 * 1024 * 1024

/** The results of a body of lines: one line for each, in order, while the body still comes. */
export function resultLines(
  request: FastifyRequest,
  { accepting, aborting }: Pick<HttpDeps, 'accepting' | 'aborting'>,
): Readable {
  const body = request.raw.iterator({ destroyOnReturn: false })
  const groups = lines(body, { most: GROUP, longest: LONGEST_LINE })
  const work = async (group: readonly Line[]) => {
    const results = await Promise.all(
      group.map((line) => resultOf(line, accepting, request.id)),
    )
    return results.join('')
  }
  async function* results() {
    try {
      for await (const result of pipelined(groups, work, WIDTH)) {
        yield result
        // What has not been answered was not taken, or may be posted again.
        aborting.throwIfAborted()
      }
    } catch (error) {
      const { code, status, detail } = problemOf(error, request.id)
      yield `${JSON.stringify({ line: null, status, code, detail })}\n`
    }
  }
  return Readable.from(results(), { objectMode: false, highWaterMark: MOST_WAITING })
}

async function resultOf(
  { number, bytes }: Line,
  accepting: Accepting,
  id: string,
): Promise<string> {
  try {
    if (bytes === null) {
      const words = `The line is longer than ${LONGEST_LINE} bytes; expected one EncodeJob.`
      throw new PermanentError('TOO_LARGE', words)
    }
    const { status, request_id, asset_guid, job } = await accepting.take(
      json(bytes, 'The line'),
    )
    return `${JSON.stringify({ line: number, status, request_id, asset_guid, job })}\n`
  } catch (error) {
    const { status, code, detail, at } = problemOf(error, id)
    return `${JSON.stringify({ line: number, status, code, detail, at })}\n`
  }
}
