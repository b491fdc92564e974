import type { FastifyInstance } from 'fastify'
import type { Database } from '#shared/catalogue/database.ts'
import {
  findRelease,
  listReleases,
  type ReleasePlace,
  type ReleaseStatus,
  releaseTracks,
} from '#shared/catalogue/releases/read-releases.ts'
import type {
  Release,
  ReleaseCancelled,
  ReleaseDetail,
  ReleasePage,
} from '#shared/contracts/api/release.ts'
import { badRequest, HttpError } from '#shared/contracts/errors/http.ts'
import { compile } from '#shared/contracts/validator.ts'
import { type Cancelling, unknownRelease } from '../cancel/cancelling.ts'
import { JSON_TYPE, optionalDocumentIn, takeJson } from '../http/json-body.ts'
import { queryCatalogue, searchOf } from '../http/query.ts'
import {
  CancelBody,
  cancel,
  type ListQuery,
  list,
  type Params,
  show,
  type TracksQuery,
} from './schema.ts'

const MAX_BODY = 10_000

const checkBody = compile<CancelBody>(CancelBody, 'The body', badRequest)

interface ReleaseDeps {
  /** For reads. */
  readonly database: Database
  readonly cancelling: Cancelling
}

/** All of /v1/releases. */
export async function releaseRoutes(
  app: FastifyInstance,
  { database, cancelling }: ReleaseDeps,
): Promise<void> {
  takeJson(app, MAX_BODY)

  app.get<{ Querystring: ListQuery }>(
    '/v1/releases',
    { schema: list, config: { scope: 'read' } },
    async ({ query }, reply): Promise<ReleasePage> => {
      const { limit = 100, state, page } = query
      const after = page === undefined ? undefined : placeIn(page)
      const found = await queryCatalogue((signal) =>
        listReleases(database, { limit, state, after }, signal),
      )
      reply.header('cache-control', 'no-store')
      const next = found.next && `${found.next.changed.getTime()},${found.next.release}`
      return {
        releases: found.releases.map(toRelease),
        next: nextPage('/v1/releases', query, next),
      }
    },
  )

  app.get<{ Params: Params; Querystring: TracksQuery }>(
    '/v1/releases/:release_id',
    { schema: show, config: { scope: 'read' } },
    async ({ params, query }, reply): Promise<ReleaseDetail> => {
      const release = numberIn(params)
      const { limit = 100, page: after } = query
      const known = await queryCatalogue((signal) => findRelease(database, release, signal))
      if (known === undefined) throw unknownRelease(release)
      const { tracks, next } = await queryCatalogue((signal) =>
        releaseTracks(database, release, { limit, after }, signal),
      )
      reply.header('cache-control', 'no-store')
      const shown = tracks.map(({ asset_guid, title, artist, state, request_id }) => ({
        asset_guid,
        ...(title === null ? {} : { title }),
        ...(artist === null ? {} : { artist }),
        ...{ state, request_id, href: `/v1/tracks/${asset_guid}` },
      }))
      const href = `/v1/releases/${release}`
      return { ...toRelease(known), tracks: shown, next: nextPage(href, query, next) }
    },
  )

  app.post<{ Params: Params }>(
    '/v1/releases/:release_id/cancel',
    { schema: cancel, config: { scope: 'operate', takes: [JSON_TYPE], inflates: true } },
    async ({ params, body, caller }, reply): Promise<ReleaseCancelled> => {
      const { reason = null } = checkBody(optionalDocumentIn(body))
      const release = numberIn(params)
      reply.code(202).header('cache-control', 'no-store')
      return await cancelling.release({ release, by: caller, reason })
    },
  )
}

/** @throws HttpError BAD_REQUEST: of larger numbers JSON keeps no digit. */
function numberIn({ release_id }: Params): number {
  const release = Number(release_id)
  if (Number.isSafeInteger(release)) return release
  const words = `release_id must be a whole number up to 2^53 - 1 either way, got ${release_id}.`
  throw new HttpError('BAD_REQUEST', words, { at: '/release_id' })
}

function placeIn(page: string): ReleasePlace {
  const [changed, release] = page.split(',').map(Number)
  const at = new Date(changed ?? 0)
  return { changed: at, release: Number.isSafeInteger(release) ? (release ?? 0) : 0 }
}

function toRelease(status: ReleaseStatus): Release {
  const { release, state, counts, isMore, firstSeen, changed } = status
  return {
    release_id: release,
    state,
    counts,
    more: isMore,
    first_seen: firstSeen.toISOString(),
    changed: changed.toISOString(),
    href: `/v1/releases/${release}`,
  }
}

function nextPage(
  path: string,
  query: ListQuery | TracksQuery,
  page: string | undefined,
): string | null {
  return page === undefined ? null : `${path}?${searchOf({ ...query, page })}`
}
