import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { LineResult } from '#shared/contracts/api/submission.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { json } from '#shared/contracts/message.ts'
import { drainRequest } from '../http/drain-request.ts'
import { problemOf } from '../http/problem.ts'
import type { Turns } from '../http/turns.ts'
import { pipelined } from './pipelined.ts'
import { type Line, lines } from './read-lines.ts'
import type { Submissions } from './submit-job.ts'

/** Maximum length of a line, bytes. */
const LONGEST_LINE = 64 * 1024
/** Lines that are handed on together, and the maximum number of such groups under way: 500 lines. */
const GROUP = 50
const WIDTH = 10
/**
 * Maximum size of results that wait for a client that sends everything before it reads, bytes: some 40,000
 * lines.
 */
const MAX_WAITING = 8 * 1024 * 1024

/** Time that a refused client has to read the answer before its connection is destroyed, ms. */
const LINGER_MS = 1000
/** Maximum number of refused lines in a body. The lines after that are not processed. */
export const MAX_REFUSED = 1000

/** The results of a group of lines. */
interface Answered {
  readonly text: string
  readonly refused: number
}

/** The results of a body of lines: one line for each, in order, sent while the body still arrives. */
export function resultLines(
  request: FastifyRequest,
  {
    submissions,
    aborting,
    turns,
  }: {
    readonly submissions: Submissions
    readonly aborting: AbortSignal
    readonly turns: Turns
  },
): Readable {
  const body = (request.body as Readable).iterator({ destroyOnReturn: false })
  let refused = 0
  let last = 0

  async function* groups() {
    for await (const group of lines(body, { most: GROUP, longest: LONGEST_LINE })) {
      if (refused >= MAX_REFUSED) return
      last = group.at(-1)?.number ?? last
      yield group
    }
  }
  async function work(group: readonly Line[]): Promise<Answered> {
    const results: Promise<LineResult>[] = []
    let until = await turns.next()
    for (const line of group) {
      if (performance.now() > until) until = await turns.next()
      results.push(resultOf(line, submissions, request))
    }
    const all = await Promise.all(results)
    const wrong = all.filter(({ status }) => status >= 400 && status < 500).length
    refused += wrong
    return { text: all.map((each) => `${JSON.stringify(each)}\n`).join(''), refused: wrong }
  }
  async function* results() {
    try {
      let reported = 0
      for await (const { text, refused } of pipelined(groups(), work, WIDTH)) {
        reported += refused
        if (text !== '') yield text
        // Lines without a result were not accepted, or may safely be posted again.
        aborting.throwIfAborted()
      }
      if (reported >= MAX_REFUSED) throw tooManyRefused(last)
    } catch (error) {
      const { code, status, detail } = problemOf(error, request.id)
      const rest: LineResult = { line: null, status, code, detail }
      yield `${JSON.stringify(rest)}\n`
    }
    // The rest of the body is not needed.
    await drainRequest(request.raw)
  }
  const stream = Readable.from(results(), { objectMode: false, highWaterMark: MAX_WAITING })
  stream.once('close', () => {
    // With a delay, because the last line may still be on its way.
    if (!request.raw.complete) setTimeout(() => request.raw.destroy(), LINGER_MS).unref()
  })
  return stream
}

function tooManyRefused(last: number): HttpError {
  return new HttpError(
    'TOO_MANY_REFUSED',
    `${MAX_REFUSED} lines were refused; lines from ${last + 1} on were not looked at.`,
  )
}

async function resultOf(
  { number, bytes }: Line,
  submissions: Submissions,
  { id, tenant }: Pick<FastifyRequest, 'id' | 'tenant'>,
): Promise<LineResult> {
  try {
    if (bytes === null) {
      const words = `The line is longer than ${LONGEST_LINE} bytes; expected one EncodeJob.`
      throw new HttpError('TOO_LARGE', words)
    }
    const { status, state, request_id, asset_guid, job } = await submissions.submit(
      json(bytes, 'The line'),
      tenant,
    )
    return { line: number, status, state, request_id, asset_guid, job }
  } catch (error) {
    const { status, code, detail, at } = problemOf(error, id)
    return { line: number, status, code, detail, ...(at === undefined ? {} : { at }) }
  }
}
