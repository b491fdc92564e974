import { PassThrough } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { Database } from '#shared/catalogue/database.ts'
import { changedTracks, type ListedTrack } from '#shared/catalogue/tracks/list-tracks.ts'
import type { Board } from '#shared/contracts/api/board.ts'
import { LiveEvent } from '#shared/contracts/api/live.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { queryCatalogue } from '../http/query.ts'
import { refused } from '../http/responses.ts'
import { createSlots } from '../http/slots.ts'

/** How often it is looked for what has changed, ms. */
const TRACKS_EVERY_MS = 1000
const BOARD_EVERY_MS = 2000
const HEARTBEAT_MS = 15_000
/** A transaction may end after one that began later: so far back is looked again, µs. */
const OVERLAP_US = 2_000_000
/** Maximum number of tracks sent at once; a list that is further behind is better loaded anew. */
const MAX_TRACKS = 1000
/** A reader that is so far behind is cut off, and comes again, bytes. */
const MAX_BEHIND = 4 * 1024 * 1024

const schema = {
  operationId: 'watchLive',
  tags: ['numbers'],
  summary: 'Watch the chain',
  description: [
    'Server-Sent Events: `board` with what GET /v1/board has, every 2 s when it has changed; `track` with a line of GET /v1/tracks whenever a track changes.',
    'With Last-Event-ID, as browsers send it, tracks that changed meanwhile come first, a thousand at most.',
    'A comment comes every 15 s. The stream ends when the service does: connect again.',
  ].join(' '),
  response: {
    200: {
      description: 'The stream, without end. The schema is that of an event.',
      content: {
        'text/event-stream': {
          schema: LiveEvent,
        },
      },
    },
    ...refused,
  },
}

/** GET /v1/live. */
export async function liveRoutes(app: FastifyInstance, deps: LiveDeps): Promise<void> {
  const live = watching(deps)
  const slots = createSlots(deps.maxStreams, Math.ceil(deps.maxStreams / 8))
  // Before connections are closed: each of these would be waited for.
  app.addHook('preClose', async () => live.close())
  app.get('/v1/live', { schema, config: { scope: 'read' } }, async (request, reply) => {
    const sinceUs = sinceOf(request.headers['last-event-id'])
    const release = slots.take(request.client)
    if (release === undefined) {
      throw new HttpError(
        'TOO_MANY_REQUESTS',
        `${deps.maxStreams} streams are open at once, an eighth of them of one client; no other can begin now.`,
      )
    }
    const stream = new PassThrough().once('close', release)
    reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no')
    reply.type('text/event-stream; charset=utf-8')
    live.join(stream, sinceUs)
    return reply.send(stream)
  })
}

interface LiveDeps {
  readonly database: Database
  readonly currentBoard: () => Promise<Board>
  /** In all. */
  readonly maxStreams: number
}

/** @throws HttpError BAD_REQUEST when it is none of ours. */
function sinceOf(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return undefined
  if (typeof header === 'string' && /^\d{1,16}$/.test(header)) return Number(header)
  throw new HttpError('BAD_REQUEST', 'Last-Event-ID is none that this stream gives.', {
    at: 'header last-event-id',
  })
}

/** One query serves all streams; without streams there is none. */
function watching({ database, currentBoard }: LiveDeps) {
  const streams = new Set<PassThrough>()
  /** What was sent lately, so that looking back sends nothing twice. */
  let sent = new Map<string, number>()
  let latestUs: number | undefined
  let board = ''
  let boardAt = 0
  let isClosed = false
  let timer: NodeJS.Timeout | undefined

  function tell(text: string, to: Iterable<PassThrough> = streams): void {
    for (const stream of to) {
      if (stream.writableEnded) continue
      if (stream.writableLength > MAX_BEHIND) stream.destroy()
      else stream.write(text)
    }
  }

  async function lookForTracks(): Promise<void> {
    const sinceUs = latestUs === undefined ? undefined : latestUs - OVERLAP_US
    const found = await queryCatalogue((signal) =>
      changedTracks(database, sinceUs, MAX_TRACKS, signal),
    )
    const news = found.filter(({ line, updatedUs }) => sent.get(line.asset_guid) !== updatedUs)
    tell(news.map(trackEvent).join(''))
    sent = new Map(found.map(({ line, updatedUs }) => [line.asset_guid, updatedUs]))
    const last = found.at(-1)?.updatedUs
    if (last === undefined) return
    // Were there more, looking back as usual might find the same again and never get on.
    latestUs = found.length < MAX_TRACKS ? last : last + OVERLAP_US
  }

  async function lookAtBoard(): Promise<void> {
    if (performance.now() < boardAt) return
    boardAt = performance.now() + BOARD_EVERY_MS
    const now = JSON.stringify(await currentBoard())
    if (withoutTime(now) === withoutTime(board)) return
    board = now
    tell(boardEvent(board))
  }

  function tick(): void {
    timer = setTimeout(async () => {
      // A catalogue that does not answer is asked again: those who watch see that nothing comes.
      await Promise.allSettled([lookForTracks(), lookAtBoard()])
      if (streams.size > 0 && !isClosed) tick()
      else rest()
    }, TRACKS_EVERY_MS)
  }

  function rest(): void {
    timer = undefined
    latestUs = undefined
    sent = new Map()
  }

  return {
    /** Writes to the stream until it is closed; first what changed since then, µs since 1970. */
    join(stream: PassThrough, sinceUs: number | undefined): void {
      const heartbeat = setInterval(() => tell(':\n\n', [stream]), HEARTBEAT_MS)
      stream.once('close', () => {
        clearInterval(heartbeat)
        streams.delete(stream)
      })
      if (isClosed) {
        stream.end()
        return
      }
      streams.add(stream)
      tell(': Trackchain\n\n', [stream])
      if (timer === undefined) tick()
      currentBoard().then(
        (now) => tell(boardEvent(JSON.stringify(now)), [stream]),
        () => {},
      )
      if (sinceUs === undefined) return
      queryCatalogue((signal) => changedTracks(database, sinceUs, MAX_TRACKS, signal)).then(
        (missed) => tell(missed.map(trackEvent).join(''), [stream]),
        () => {},
      )
    },
    close(): void {
      isClosed = true
      clearTimeout(timer)
      for (const stream of streams) stream.end()
    },
  }
}

function trackEvent({ line, updatedUs }: ListedTrack): string {
  return eventText({ event: 'track', id: `${updatedUs}`, data: JSON.stringify(line) })
}

function boardEvent(board: string): string {
  return eventText({ event: 'board', data: board })
}

/** An event as its stream has it: https://html.spec.whatwg.org/multipage/server-sent-events.html. */
function eventText(event: LiveEvent): string {
  return `${Object.entries(event)
    .map(([field, value]) => `${field}: ${value}\n`)
    .join('')}\n`
}

/** A board on which only the clock has moved has not changed. */
function withoutTime(board: string): string {
  return board.replace(/"at":"[^"]*"/g, '')
}
