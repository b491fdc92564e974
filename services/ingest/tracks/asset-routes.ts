import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Registry } from '#shared/assets/registry.ts'
import type { Database } from '#shared/catalogue/database.ts'
import { AssetGuid } from '#shared/contracts/api/parameters.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { StoreError } from '#shared/contracts/errors/store.ts'
import {
  ASSET_ID_PATTERN,
  assetName,
  type ObjectName,
  type Revision,
} from '#shared/contracts/names.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { type ByteRange, byteRange } from '../http/byte-range.ts'
import { matches } from '../http/etag.ts'
import { refused } from '../http/responses.ts'
import { extensionsOf, knownTrack, newestAssets } from './routes.ts'
import { checkTaggable, type ServedFile, tagged, tagsDigest } from './tags/tag-file.ts'
import { tagsOf } from './tags/tags.ts'

const Params = Type.Object({
  asset_guid: AssetGuid,
  asset: Type.String({
    pattern: `${ASSET_ID_PATTERN.slice(0, -1)}(\\.[a-z0-9]{1,8})?$`,
    description: 'The id of the asset; an extension chooses one of its files: `waveform.png`.',
    examples: ['waveform.png'],
  }),
})
type Params = Static<typeof Params>

const Query = Type.Object({
  tags: Type.Optional(
    Type.Literal('1', {
      description:
        'Puts tags on an .m4a, .mp3 or .flac: title, artist, BPM, key, loudness, asset_guid.',
    }),
  ),
})
type Query = Static<typeof Query>

/** An asset is what it is by its name, but which one a track has may change any time. */
const CACHE = 'private, no-cache'
/** A browser that shows the file by itself loads it again from here; it may do nothing else. */
const CSP =
  "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"

const binary = { schema: { type: 'string', format: 'binary' } }
const schema = {
  operationId: 'getAssetFile',
  tags: ['tracks'],
  summary: 'Fetch a file of a derivative asset',
  description:
    'Of the current revision, the newest version that was made. Ranges of bytes, ETag and If-None-Match are understood. With `?tags=1` the same audio, with what is known of the track in its tags.',
  params: Params,
  querystring: Query,
  response: {
    200: { description: 'The file.', content: { '*/*': binary } },
    206: { description: 'The range that was asked for.', content: { '*/*': binary } },
    304: { description: 'It is what the client has.', type: 'null' },
    ...refused,
  },
}

interface AssetDeps {
  readonly database: Database
  readonly registry: Registry
  readonly assets: StoreDriver
  /** Aborts when downloads under way have to be given up. */
  readonly aborting: AbortSignal
}

/** GET and HEAD /v1/tracks/{asset_guid}/assets/{asset}. */
export async function assetRoutes(
  app: FastifyInstance,
  { database, registry, assets, aborting }: AssetDeps,
): Promise<void> {
  const isThere = async (name: ObjectName) =>
    (await assets.stat(name, { signal: aborting })) !== undefined
  app.route<{ Params: Params; Querystring: Query }>({
    method: ['GET', 'HEAD'],
    url: '/v1/tracks/:asset_guid/assets/:asset',
    schema,
    config: { scope: 'read' },
    exposeHeadRoute: false,
    async handler(request, reply) {
      const { asset_guid } = request.params
      const [id = '', wanted] = request.params.asset.split('.')
      const track = await knownTrack(asset_guid, database)
      const found = newestAssets(track).find(({ asset }) => asset === id)
      const { extension, bytes, version } = fileOf(asset_guid, id, wanted, found, registry)
      const revision = track.revision as Revision
      const name = assetName(asset_guid, revision, { id, version }, extension)

      const tags = request.query.tags === undefined ? undefined : tagsOf(track)
      if (tags !== undefined) checkTaggable(extension)
      const etag = tags === undefined ? `"${name}"` : `"${name};tags=${tagsDigest(tags)}"`
      reply.headers({
        etag,
        'accept-ranges': 'bytes',
        'cache-control': CACHE,
        'content-security-policy': CSP,
        'content-disposition': `inline; filename="${asset_guid}.${id}.${extension}"`,
      })
      reply.type(registry.get(id)?.files[extension] ?? 'application/octet-stream')
      const isKnown = matches(request.headers['if-none-match'], etag)
      // Where nothing is read, a row alone would vouch for an object that may be gone.
      if ((isKnown || request.method === 'HEAD') && !(await isThere(name)))
        throw new StoreError('not-found', `${name} is gone`)
      if (isKnown) return reply.code(304).send()
      const ifRange = request.headers['if-range']
      const isSame = ifRange === undefined || ifRange === etag
      const stored: ServedFile = {
        bytes,
        read: (start, end) => assets.read(name, { start, end, signal: aborting }),
      }
      let file = stored
      let range: ByteRange | undefined
      try {
        if (tags !== undefined) file = await tagged(stored, extension, tags)
        range = isSame ? byteRange(request.headers.range, file.bytes) : undefined
      } catch (error) {
        if (isOutOfRange(error)) reply.header('content-range', `bytes */${file.bytes}`)
        throw error
      }
      const { start, end } = range ?? { start: 0, end: file.bytes }
      if (range !== undefined) {
        reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${file.bytes}`)
      }
      reply.header('content-length', end - start)
      if (request.method === 'HEAD') return reply.send()
      return reply.send(await file.read(start, end))
    },
  })
}

function isOutOfRange(error: unknown): boolean {
  return error instanceof HttpError && error.code === 'RANGE_NOT_SATISFIABLE'
}

type Found = ReturnType<typeof newestAssets>[number] | undefined

function fileOf(
  guid: string,
  id: string,
  wanted: string | undefined,
  found: Found,
  registry: Registry,
) {
  if (found === undefined || found.state === 'failed') {
    const why =
      found === undefined ? 'has not been made' : `could not be made: ${found.sentence}`
    throw new HttpError('NOT_FOUND', `${id} of the track ${guid} ${why}.`, {
      at: '/asset',
    })
  }
  const extensions = extensionsOf(found, registry)
  const extension = wanted ?? extensions[0]
  const bytes = extension === undefined ? undefined : found.files[extension]
  if (extension === undefined || bytes === undefined) {
    throw new HttpError(
      'NOT_FOUND',
      `${id} of the track ${guid} has no file .${wanted}; there are ${extensions.map((each) => `${id}.${each}`).join(', ')}.`,
      { at: '/asset' },
    )
  }
  return { extension, bytes, version: found.version }
}
