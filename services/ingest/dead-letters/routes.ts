import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Database } from '#shared/catalogue/database.ts'
import type { KeptLetter } from '#shared/catalogue/letters/letter.ts'
import {
  countLetters,
  findLetter,
  listLetters,
  type WholeLetter,
} from '#shared/catalogue/letters/read-letters.ts'
import type {
  DeadLetter,
  DeadLetterPage,
  RedriveResult,
  RedriveResults,
  WholeDeadLetter,
} from '#shared/contracts/api/dead-letter.ts'
import { remedyOf } from '#shared/contracts/errors/chain.ts'
import { badRequest, HttpError } from '#shared/contracts/errors/http.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { withoutPaths } from '#shared/contracts/errors/without-paths.ts'
import { compile } from '#shared/contracts/validator.ts'
import { documentIn, JSON_TYPE, takeJson } from '../http/json-body.ts'
import { queryCatalogue, searchOf } from '../http/query.ts'
import type { LetterActions, Redriven, Which } from './redrive.ts'
import {
  DEFAULT_LETTERS,
  DEFAULT_RATE,
  DiscardBody,
  discard,
  type LetterParams,
  type ListQuery,
  list,
  RedriveBody,
  redrive,
  show,
} from './schema.ts'

/** How long a request may go on redriving, ms: a connection on which nothing moves is closed after 60 s. */
const MAX_MS = 20_000
const MAX_BODY = 100_000

const checkRedrive = compile<RedriveBody>(RedriveBody, 'The body', badRequest)
const checkDiscard = compile<DiscardBody>(DiscardBody, 'The body', badRequest)

interface LetterDeps {
  readonly database: Database
  readonly letterActions: LetterActions
  /** Aborts when redrives under way have to be given up. */
  readonly aborting: AbortSignal
}

/** All of /v1/dead-letters. */
export async function deadLetterRoutes(app: FastifyInstance, deps: LetterDeps): Promise<void> {
  const { database, letterActions } = deps
  takeJson(app, MAX_BODY)
  const operating = { scope: 'operate', takes: [JSON_TYPE], inflates: true } as const

  type List = { Querystring: ListQuery }
  app.get<List>(
    '/v1/dead-letters',
    { schema: list, config: { scope: 'read' } },
    async ({ query }, reply): Promise<DeadLetterPage> => {
      const { state = 'open', limit = 100, page, ...filter } = query
      const [at, id] = page?.split(',') ?? []
      const after = at === undefined || id === undefined ? undefined : { at, id }
      const found = await queryCatalogue((signal) =>
        listLetters(database, state, filter, { limit, after }, signal),
      )
      reply.header('cache-control', 'no-store')
      return { letters: found.letters.map(toDeadLetter), next: nextPage(query, found.next) }
    },
  )

  type One = { Params: LetterParams }
  app.get<One>(
    '/v1/dead-letters/:id',
    { schema: show, config: { scope: 'read' } },
    async ({ params, mayOperate }, reply): Promise<WholeDeadLetter> => {
      reply.header('cache-control', 'no-store')
      return toWholeDeadLetter(await knownLetter(params.id, database), mayOperate)
    },
  )

  app.post(
    '/v1/dead-letters/redrive',
    { schema: redrive, config: operating },
    async (request, reply): Promise<RedriveResults> => {
      const body = checkRedrive(documentIn(request.body, 'what to redrive'))
      const which = whichOf(body)
      const { limit = 'ids' in which ? which.ids.length : DEFAULT_LETTERS } = body
      const dryRun = body.dry_run ?? false
      const results = await acting(() =>
        dryRun
          ? letterActions.preview(which, limit)
          : redriveUntilGone(which, { ...body, limit }, request, reply, deps),
      )
      const left = await leftOf(which, results, database)
      const redriven = results.filter(({ status }) => status === 'redriven').length
      return { dry_run: dryRun, redriven, ...left, results: results.map(toRedriveResult) }
    },
  )

  app.post<One>(
    '/v1/dead-letters/:id/discard',
    { schema: discard, config: operating },
    async (request): Promise<DeadLetter> => {
      const { id } = request.params
      const { reason } = checkDiscard(documentIn(request.body, 'a reason'))
      await acting(() => letterActions.discard(id, reason, request.caller))
      return toDeadLetter(await knownLetter(id, database))
    },
  )
}

/** @throws HttpError BAD_REQUEST unless exactly one of both is given. */
function whichOf({ ids, filter }: RedriveBody): Which {
  if (ids !== undefined && filter === undefined) return { ids: [...new Set(ids)] }
  if (filter !== undefined && ids === undefined) return { filter }
  throw new HttpError(
    'BAD_REQUEST',
    `The body has ${ids === undefined ? 'neither' : 'both'} ids and filter; expected one of them. An empty filter, {}, lets all open letters through.`,
    { at: '/' },
  )
}

/** Stops when the client goes, and when the service has to. */
async function redriveUntilGone(
  which: Which,
  { rate = DEFAULT_RATE, limit }: { rate?: number; limit: number },
  { caller }: FastifyRequest,
  reply: FastifyReply,
  { letterActions, aborting }: LetterDeps,
): Promise<readonly Redriven[]> {
  const gone = new AbortController()
  const onClose = () => gone.abort(new Error('the client has gone'))
  reply.raw.once('close', onClose)
  const signal = AbortSignal.any([gone.signal, aborting])
  const pace = { rate, limit, mostMs: MAX_MS, signal }
  try {
    return await letterActions.redrive(which, caller, pace)
  } finally {
    reply.raw.off('close', onClose)
  }
}

/** Does something to letters. @throws HttpError UPSTREAM_DOWN when Pub/Sub or the catalogue does not answer. */
async function acting<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (error instanceof HttpError) throw error
    throw new HttpError(
      'UPSTREAM_DOWN',
      `Pub/Sub or the catalogue does not answer: ${sentence(error)}. What was done before stays done; ask again for the rest.`,
      { cause: error },
    )
  }
}

async function leftOf(
  which: Which,
  results: readonly Redriven[],
  database: Database,
): Promise<{ left: number; not_redrivable: number }> {
  if ('ids' in which) {
    const without = results.filter(
      (result) => result.status === 'refused' && result.code === 'NOT_REDRIVABLE',
    )
    return { left: which.ids.length - results.length, not_redrivable: without.length }
  }
  const { redrivable, others } = await queryCatalogue((signal) =>
    countLetters(database, which.filter, signal),
  )
  return { left: redrivable, not_redrivable: others }
}

async function knownLetter(id: string, database: Database): Promise<WholeLetter> {
  const found = await queryCatalogue((signal) => findLetter(database, id, signal))
  if (found !== undefined) return found
  throw new HttpError('NOT_FOUND', `There is no dead letter ${id}.`, { at: '/id' })
}

function nextPage(query: ListQuery, next: { at: string; id: string } | undefined) {
  if (next === undefined) return null
  const { page: _, ...rest } = query
  return `/v1/dead-letters?${searchOf({ ...rest, page: `${next.at},${next.id}` })}`
}

function toDeadLetter(letter: KeptLetter): DeadLetter {
  const { id, state, step, code, attempt, job, published, settled } = letter
  const reason = withoutPaths(letter.reason)
  return {
    id,
    state,
    step,
    code,
    reason,
    ...remedyOf(code),
    attempt,
    dead_lettered: published.toISOString(),
    redrivable: job !== null,
    ...(job && {
      job: job.id,
      run: job.run,
      accepted: job.accepted?.toISOString() ?? null,
      ...askedBy(job.request),
    }),
    settled: settled && {
      at: settled.at.toISOString(),
      by: settled.by,
      ...(settled.run === null ? { reason: settled.reason } : { run: settled.run }),
    },
    href: `/v1/dead-letters/${id}`,
  }
}

/** The letter as it came, for callers with the scope operate; without paths for all others. */
function toWholeDeadLetter(letter: WholeLetter, mayOperate: boolean): WholeDeadLetter {
  const { message, attributes, body } = letter
  const shown = (text: string) => (mayOperate ? text : withoutPaths(text))
  const { dead_letter_reason: _, ...rest } = attributes
  const isText = isUtf8(body)
  return {
    ...toDeadLetter(letter),
    message_id: message,
    attributes: mayOperate ? attributes : rest,
    bytes: body.length,
    ...(isText ? { body: shown(body.toString('utf8')) } : {}),
    ...(isText || !mayOperate ? {} : { body_base64: body.toString('base64') }),
  }
}

function toRedriveResult(result: Redriven): RedriveResult {
  if (result.status === 'refused') return result
  const { id, status, run, letter } = result
  const { step, code, job } = letter
  return { id, status, run, ...(job && askedBy(job.request)), step, code }
}

type Request = NonNullable<KeptLetter['job']>['request']

/** What of a request names it and its track. */
function askedBy({ request_id, asset_guid, derivative_assets }: Request) {
  return {
    ...(request_id === undefined ? {} : { request_id }),
    ...(asset_guid === undefined ? {} : { asset_guid }),
    ...(derivative_assets === undefined ? {} : { derivative_assets }),
  }
}
