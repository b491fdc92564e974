import type { FastifyInstance } from 'fastify'
import type { Registry } from '#shared/assets/registry.ts'
import type { Database } from '#shared/catalogue/database.ts'
import { type Board as Counts, readBoard } from '#shared/catalogue/figures/board.ts'
import { Board, type BoardMinute } from '#shared/contracts/api/board.ts'
import { CHAIN, DOES, MAKING_STAGES } from '#shared/contracts/stages.ts'
import { queryCatalogue } from '../http/query.ts'
import { jsonResponse, refused } from '../http/responses.ts'

const MINUTES = 60
/** Minimum time for which a board is served again, ms. */
const FRESH_MS = 1000
/** And for this many times what reading it took, because it must not keep the database busy; at most for ten seconds, ms. */
const REST = 20
const MAX_FRESH_MS = 10_000

const schema = {
  operationId: 'getBoard',
  tags: ['numbers'],
  summary: 'Show the state of the chain',
  description: [
    'Tracks by state: `waiting` for the first step, `running`, and how the others ended.',
    'Of each step the tracks that are accepted and due there (estimated from a sample when there are very many), and its deliveries of the last minute.',
    '`minutes`: assets made and failed in each of the last 60 minutes. Read from the database once a second at most; where that takes long, once in ten seconds.',
  ].join(' '),
  response: {
    200: jsonResponse('The board.', Board),
    ...refused,
  },
}

/** GET /v1/board. */
export async function boardRoutes(
  app: FastifyInstance,
  { currentBoard }: { currentBoard: () => Promise<Board> },
): Promise<void> {
  app.get('/v1/board', { schema, config: { scope: 'read' } }, async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return currentBoard()
  })
}

/**
 * Returns a function that resolves to the board as it was at most a second ago, or up to ten where that takes the database long.
 * @throws HttpError UPSTREAM_DOWN when the catalogue does not answer.
 */
export function cachedBoard({
  database,
  registry,
  unready,
}: {
  readonly database: Database
  readonly registry: Registry
  readonly unready: () => string | undefined
}): () => Promise<Board> {
  let last: Promise<Board> | undefined
  let freshUntil = 0

  async function look(): Promise<Board> {
    const began = performance.now()
    const found = await queryCatalogue((signal) => readBoard(database, signal))
    const took = performance.now() - began
    freshUntil = performance.now() + Math.min(MAX_FRESH_MS, Math.max(FRESH_MS, REST * took))
    return toBoard(found, registry, unready() === undefined)
  }

  return () => {
    if (last !== undefined && performance.now() < freshUntil) return last
    // Until it is known, everybody waits for this one.
    freshUntil = Number.POSITIVE_INFINITY
    last = look().catch((error) => {
      freshUntil = 0
      throw error
    })
    return last
  }
}

function toBoard(board: Counts, registry: Registry, accepting: boolean): Board {
  const { at, scale, tracks, lettersOpen } = board
  const waiting = waitingAt(board, registry)
  const notBegun = Math.min(tracks.running, board.waiting)
  const minutes = minutesOf(board)
  return {
    at: at.toISOString(),
    accepting,
    tracks: { ...tracks, waiting: notBegun, running: tracks.running - notBegun },
    lanes: board.lanes,
    steps: CHAIN.map((step) => {
      const pace = board.steps.find((each) => each.step === step)
      return {
        step,
        does: DOES[step],
        waiting:
          Math.round((waiting.get(step) ?? 0) * scale) + (step === 'stage' ? board.waiting : 0),
        done_per_minute: pace?.done ?? 0,
        failed_per_minute: pace?.failed ?? 0,
        p50_ms: pace?.p50Ms ?? null,
        p99_ms: pace?.p99Ms ?? null,
      }
    }),
    completions_per_minute: board.made,
    failures_last_hour: minutes.reduce((sum, { failed }) => sum + failed, 0),
    dead_letters_open: lettersOpen,
    minutes,
  }
}

/** How many of the jobs that were looked at are due at each step. */
function waitingAt({ under }: Counts, registry: Registry): Map<string, number> {
  const waiting = new Map<string, number>()
  for (const { planned, finished } of under) {
    const left = planned?.filter((unit) => !finished.includes(unit))
    const stages: readonly unknown[] | undefined = left?.map(
      (unit) => registry.get(unit.split('@')[0] ?? '')?.stage,
    )
    // A unit of an asset that is no longer known here is due at the last stage, if any is.
    const due = MAKING_STAGES.find((stage) => stages?.includes(stage)) ?? MAKING_STAGES.at(-1)
    const step = stages === undefined ? 'stage' : stages.length > 0 ? due : 'publish'
    if (step === undefined) continue
    waiting.set(step, (waiting.get(step) ?? 0) + 1)
  }
  return waiting
}

/** All of the last 60 minutes, those with nothing included. */
function minutesOf({ at, minutes }: Counts): BoardMinute[] {
  const counted = new Map(minutes.map((minute) => [minute.at.getTime(), minute]))
  const latest = Math.floor(at.getTime() / 60_000) * 60_000
  return Array.from({ length: MINUTES }, (_, index) => {
    const ms = latest - (MINUTES - 1 - index) * 60_000
    const { made = 0, failed = 0 } = counted.get(ms) ?? {}
    return { at: new Date(ms).toISOString(), made, failed }
  })
}
