import type { FastifyInstance } from 'fastify'
import type { Registry } from '#shared/assets/registry.ts'
import { harmonicWith, keyMeant } from '#shared/audio/musical-keys.ts'
import type { Database } from '#shared/catalogue/database.ts'
import { LIST_MS, listTracks, type TrackCursor } from '#shared/catalogue/tracks/list-tracks.ts'
import type { TrackFilter } from '#shared/catalogue/tracks/track-filter.ts'
import type { TrackPage } from '#shared/contracts/api/track.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { LIKELY } from '#shared/contracts/likely.ts'
import { queryCatalogue, searchOf } from '../http/query.ts'
import { list, type TrackQuery } from './list-schema.ts'

/** GET /v1/tracks. */
export async function trackListRoutes(
  app: FastifyInstance,
  { database, registry }: { readonly database: Database; readonly registry: Registry },
): Promise<void> {
  app.get<{ Querystring: TrackQuery }>(
    '/v1/tracks',
    { schema: list, config: { scope: 'read' } },
    async ({ query }, reply): Promise<TrackPage> => {
      const filter = filterOf(query, registry)
      const page = { limit: query.limit ?? 100, after: cursorOf(query.page) }
      const { tracks, next } = await queryCatalogue((signal) =>
        listTracks(database, filter, page, signal),
      )
      reply.header('cache-control', 'no-store')
      return { tracks: tracks.map(({ line }) => line), next: nextPage(query, next) }
    },
  )
}

/** @throws HttpError BAD_REQUEST when two parameters do not go together, or when no such asset can be made. */
function filterOf(query: TrackQuery, registry: Registry): TrackFilter {
  const { asset, state, warning, q } = query
  const bpm = rangeOf(query.bpm_from, query.bpm_to, 'bpm')
  const seconds = rangeOf(query.seconds_from, query.seconds_to, 'seconds')
  return {
    bpmFrom: bpm.from,
    bpmTo: bpm.to,
    secondsFrom: seconds.from,
    secondsTo: seconds.to,
    camelot: camelotOf(query),
    asset,
    state,
    q,
    ...confidenceOf(query),
    stale: currentOf(query, 'stale', registry),
    lacks: currentOf(query, 'lacks', registry),
    ...(warning === 'any' || warning === 'none'
      ? { isWarned: warning === 'any' }
      : { warning }),
  }
}

/** The current version of the asset that a parameter names. @throws HttpError BAD_REQUEST when there is none. */
function currentOf(query: TrackQuery, name: 'stale' | 'lacks', registry: Registry) {
  const asset = query[name]
  if (asset === undefined) return undefined
  const version = registry.get(asset)?.version
  if (version !== undefined) return { asset, version }
  const known = [...registry.keys()].sort().join(', ')
  throw new HttpError('BAD_REQUEST', `${asset} can't be made here; known are ${known}.`, {
    at: `/${name}`,
  })
}

/** Of what is asked for, tempo or key; of both where neither is. */
function confidenceOf(query: TrackQuery) {
  const { key, harmonic, bpm_from, bpm_to, confidence_from } = query
  // What is recommended should be likely; what is looked for by its name is found as it is.
  const from = confidence_from ?? (harmonic === '1' ? LIKELY : 0)
  const isByTempo = bpm_from !== undefined || bpm_to !== undefined
  const isByKey = key !== undefined
  if (from === 0) return {}
  return {
    ...(isByTempo || !isByKey ? { bpmConfidenceFrom: from } : {}),
    ...(isByKey || !isByTempo ? { keyConfidenceFrom: from } : {}),
  }
}

function rangeOf(from: number | undefined, to: number | undefined, name: string) {
  if (from !== undefined && to !== undefined && from > to) {
    throw new HttpError(
      'BAD_REQUEST',
      `${name}_from is ${from}, which is more than ${name}_to, ${to}.`,
      { at: `/${name}_from` },
    )
  }
  return { from, to }
}

function camelotOf({ key, harmonic }: TrackQuery): readonly string[] | undefined {
  if (key === undefined) {
    if (harmonic === undefined || harmonic === '0') return undefined
    throw new HttpError('BAD_REQUEST', 'harmonic is given without a key.', {
      at: '/harmonic',
    })
  }
  const meant = keyMeant(key)
  if (meant === undefined) {
    throw new HttpError(
      'BAD_REQUEST',
      `${JSON.stringify(key)} is no key; expected one like A minor, Am, 8A or 1m.`,
      { at: '/key' },
    )
  }
  return harmonic === '1' ? harmonicWith(meant) : [meant.camelot]
}

/** @throws HttpError BAD_REQUEST when the first page is too long ago. */
function cursorOf(page: string | undefined): TrackCursor | undefined {
  const [asOf, place, ...track] = page?.split(',') ?? []
  if (asOf === undefined || place === undefined) return undefined
  if (Number(asOf) / 1000 < Date.now() - LIST_MS) {
    throw new HttpError(
      'BAD_REQUEST',
      'The first page of this list is more than a day old: begin with it again.',
      { at: '/page' },
    )
  }
  return { asOfUs: Number(asOf), placeUs: Number(place), track: track.join(',') }
}

function nextPage(query: TrackQuery, next: TrackCursor | undefined): string | null {
  if (next === undefined) return null
  const { page: _, ...rest } = query
  const page = `${next.asOfUs},${next.placeUs},${next.track}`
  return `/v1/tracks?${searchOf({ ...rest, page })}`
}
