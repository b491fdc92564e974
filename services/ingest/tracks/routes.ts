import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Registry } from '#shared/assets/registry.ts'
import type { Database } from '#shared/catalogue/database.ts'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { listedTrack } from '#shared/catalogue/tracks/list-tracks.ts'
import { findTrack, type TrackStatus } from '#shared/catalogue/tracks/read-tracks.ts'
import { type HistoryEvent, HistoryPage } from '#shared/contracts/api/history.ts'
import { PageSize, TrackParams } from '#shared/contracts/api/parameters.ts'
import { type TrackAsset, TrackDetail } from '#shared/contracts/api/track.ts'
import type { Warning } from '#shared/contracts/api/warning.ts'
import { remedyOf } from '#shared/contracts/errors/chain.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { withoutPaths } from '#shared/contracts/errors/without-paths.ts'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { shownUri } from '#shared/contracts/uploads.ts'
import { type Warning as Found, WARNINGS } from '#shared/contracts/warnings.ts'
import { etagOf, matches } from '../http/etag.ts'
import { queryCatalogue } from '../http/query.ts'
import { jsonResponse, refused } from '../http/responses.ts'

const Page = Type.Object(
  {
    limit: PageSize,
    before: Type.Optional(
      Type.String({
        pattern: '^\\d{4}-\\d\\d-\\d\\dT[0-9:.]{8,15}Z,[0-9a-fA-F-]{36}$',
        description: 'As the link `next` of the page before has it.',
      }),
    ),
  },
  { additionalProperties: false },
)

/** GET /v1/tracks/{asset_guid} and its history. */
export async function trackRoutes(
  app: FastifyInstance,
  { database, registry }: { readonly database: Database; readonly registry: Registry },
): Promise<void> {
  const track = {
    operationId: 'getTrack',
    tags: ['tracks'],
    summary: 'Show a track',
    description:
      'The current revision of its master, the newest of each asset of that revision, and `state` and `request_id` of its latest job. ETag and If-None-Match are understood. A track is known once a job has read its master.',
    params: TrackParams,
    response: {
      200: jsonResponse('The track.', TrackDetail),
      304: { description: 'It is as the client has it.', type: 'null' },
      ...refused,
    },
  }
  app.get<{ Params: TrackParams }>(
    '/v1/tracks/:asset_guid',
    { schema: track, config: { scope: 'read' } },
    async ({ params, headers }, reply) => {
      const { asset_guid } = params
      const found = await knownTrack(asset_guid, database)
      const listed = await queryCatalogue((signal) => listedTrack(database, asset_guid, signal))
      const body = JSON.stringify(toTrackDetail(found, listed, registry))
      const etag = etagOf(body)
      reply.headers({ etag, 'cache-control': 'private, no-cache' })
      if (matches(headers['if-none-match'], etag)) return reply.code(304).send()
      return reply.type('application/json; charset=utf-8').send(body)
    },
  )

  const history = {
    operationId: 'getTrackHistory',
    tags: ['tracks'],
    summary: 'Show the history of a track',
    description: 'The events of all steps of all its jobs, the latest first.',
    params: TrackParams,
    querystring: Page,
    response: { 200: jsonResponse('A page of events.', HistoryPage), ...refused },
  }
  type History = { Params: TrackParams; Querystring: Static<typeof Page> }
  app.get<History>(
    '/v1/tracks/:asset_guid/history',
    { schema: history, config: { scope: 'read' } },
    async ({ params, query }, reply): Promise<HistoryPage> => {
      const { asset_guid } = params
      const { limit = 100 } = query
      const [at, id] = query.before?.split(',') ?? []
      const before = at === undefined || id === undefined ? undefined : { at, id }
      const { events, next } = await queryCatalogue((signal) =>
        trackHistory(database, asset_guid, { limit, before }, signal),
      )
      if (events.length === 0 && before === undefined) throw unknownTrack(asset_guid)
      reply.header('cache-control', 'no-store')
      return {
        asset_guid,
        events: events.map(toHistoryEvent),
        next:
          next === undefined
            ? null
            : `/v1/tracks/${asset_guid}/history?limit=${limit}&before=${next.at},${next.id}`,
      }
    },
  )
}

/** @throws HttpError NOT_FOUND; UPSTREAM_DOWN. */
export async function knownTrack(assetGuid: string, database: Database): Promise<TrackStatus> {
  const found = await queryCatalogue((signal) => findTrack(database, assetGuid, signal))
  if (found === undefined) throw unknownTrack(assetGuid)
  return found
}

/** Of each asset the newest version that was made; of one that never was, the newest that failed. */
export function newestAssets({
  assets,
}: TrackStatus): readonly TrackStatus['assets'][number][] {
  const newest = new Map<string, TrackStatus['assets'][number]>()
  for (const asset of assets) {
    const best = newest.get(asset.asset)
    const isBetter =
      best === undefined ||
      (best.state === asset.state ? asset.version > best.version : asset.state === 'made')
    if (isBetter) newest.set(asset.asset, asset)
  }
  return [...newest.values()]
}

/** The files of an asset in the order of its definition, which the database does not keep. */
export function extensionsOf(
  { asset, files }: Extract<TrackStatus['assets'][number], { state: 'made' }>,
  registry: Registry,
): readonly string[] {
  const defined = Object.keys(registry.get(asset)?.files ?? {})
  const known = defined.filter((extension) => Object.hasOwn(files, extension))
  return [...known, ...Object.keys(files).filter((extension) => !known.includes(extension))]
}

function unknownTrack(assetGuid: string): HttpError {
  return new HttpError(
    'NOT_FOUND',
    `No job has read a master of the track ${assetGuid} (yet).`,
    { at: '/asset_guid' },
  )
}

function toTrackDetail(
  track: TrackStatus,
  listed: Awaited<ReturnType<typeof listedTrack>>,
  registry: Registry,
): TrackDetail {
  const { samples, layout, uri, warnings } = track.master
  return {
    asset_guid: track.track,
    ...track.names,
    revision: track.revision,
    master: {
      uri: shownUri(uri),
      layout,
      samples,
      seconds: Math.round((samples / SAMPLE_RATE) * 1000) / 1000,
    },
    warnings: warnings.map(toWarning),
    first_seen: track.firstSeen.toISOString(),
    assets: newestAssets(track).map((asset) => toTrackAsset(track.track, asset, registry)),
    history: `/v1/tracks/${track.track}/history`,
    ...(listed && {
      state: listed.line.state,
      request_id: listed.line.request_id,
      ...(listed.release === null ? {} : { release_id: listed.release }),
      dead_lettered: listed.line.dead_lettered,
    }),
  }
}

/** With what to do about it, where this release knows the code. */
export function toWarning(warning: Found): Warning {
  const known: Record<string, { readonly remedy: string }> = WARNINGS
  const { remedy } = known[warning.code] ?? {}
  return remedy === undefined ? warning : { ...warning, remedy }
}

function toTrackAsset(
  guid: string,
  asset: TrackStatus['assets'][number],
  registry: Registry,
): TrackAsset {
  const { asset: id, version } = asset
  const title = registry.get(id)?.title
  const common = {
    asset: id,
    version,
    ...(title === undefined ? {} : { title }),
  }
  const recorded = asset.recorded.toISOString()
  if (asset.state === 'failed') {
    const { state, code } = asset
    const sentence = withoutPaths(asset.sentence)
    return { ...common, state, recorded, code, sentence, ...remedyOf(code) }
  }
  const { state, result } = asset
  const files = extensionsOf(asset, registry).map((extension) => {
    const type = registry.get(id)?.files[extension]
    return {
      extension,
      ...(type === undefined ? {} : { type }),
      bytes: asset.files[extension] ?? 0,
      href: `/v1/tracks/${guid}/assets/${id}.${extension}`,
    }
  })
  return { ...common, state, recorded, ...(result === undefined ? {} : { result }), files }
}

function toHistoryEvent({ request: _, ...event }: StepEvent): HistoryEvent {
  const { sentence } = event
  return { ...event, ...(sentence === undefined ? {} : { sentence: withoutPaths(sentence) }) }
}
