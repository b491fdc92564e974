import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Registry } from '#shared/assets/registry.ts'
import type { Database } from '#shared/catalogue/database.ts'
import { AssetGuid } from '#shared/contracts/api/parameters.ts'
import { AssetLink } from '#shared/contracts/api/track.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { StoreError } from '#shared/contracts/errors/store.ts'
import {
  ASSET_ID_PATTERN,
  assetName,
  type ObjectName,
  type Revision,
} from '#shared/contracts/names.ts'
import { MAX_LINK_SECONDS, type StoreDriver } from '#shared/store/driver/driver.ts'
import { jsonResponse, refused } from '../http/responses.ts'
import type { LinkSigner } from './link-signer.ts'
import { extensionsOf, knownTrack, newestAssets } from './routes.ts'
import { dispositionOf, sendFile } from './send-file.ts'
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

const LinkQuery = Type.Object(
  {
    expires_in: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_LINK_SECONDS,
        description: 'For how many seconds: 3600 by default, a week at most.',
      }),
    ),
  },
  { additionalProperties: false },
)
type LinkQuery = Static<typeof LinkQuery>

/** How long an address is valid where nothing else is asked for, seconds. */
const LINK_SECONDS = 3600
/** The content type of files of assets that this release does not define. */
export const UNKNOWN_TYPE = 'application/octet-stream'

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
  readonly links: LinkSigner
  /** Aborts when downloads under way have to be given up. */
  readonly aborting: AbortSignal
}

/** GET and HEAD /v1/tracks/{asset_guid}/assets/{asset}, and GET of a link to it. */
export async function assetRoutes(
  app: FastifyInstance,
  { database, registry, assets, links, aborting }: AssetDeps,
): Promise<void> {
  async function assertThere(name: ObjectName): Promise<void> {
    const found = await assets.stat(name, { signal: aborting })
    if (found === undefined) throw new StoreError('not-found', `${name} is gone`)
  }

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
      const stored: ServedFile = {
        bytes,
        read: (start, end) => assets.read(name, { start, end, signal: aborting }),
      }
      return sendFile(request, reply, {
        etag: tags === undefined ? `"${name}"` : `"${name};tags=${tagsDigest(tags)}"`,
        type: registry.get(id)?.files[extension] ?? UNKNOWN_TYPE,
        disposition: dispositionOf(`${asset_guid}.${id}.${extension}`),
        assertThere: () => assertThere(name),
        open: async () => (tags === undefined ? stored : tagged(stored, extension, tags)),
      })
    },
  })

  const link = {
    operationId: 'getAssetLink',
    tags: ['tracks'],
    summary: 'Make an address that needs no token',
    description:
      'For a browser or a partner: anybody who has the address can fetch these very bytes, without tags, until it expires. It stays that of the current revision and version when others follow. In Cloud Storage it is a signed URL of the object itself.',
    params: Params,
    querystring: LinkQuery,
    response: { 200: jsonResponse('The address.', AssetLink), ...refused },
  }
  app.get<{ Params: Params; Querystring: LinkQuery }>(
    '/v1/tracks/:asset_guid/assets/:asset/link',
    { schema: link, config: { scope: 'read' } },
    async ({ params, query }, reply): Promise<AssetLink> => {
      const { asset_guid } = params
      const { expires_in = LINK_SECONDS } = query
      const [id = '', wanted] = params.asset.split('.')
      const track = await knownTrack(asset_guid, database)
      const found = newestAssets(track).find(({ asset }) => asset === id)
      const { extension, bytes, version } = fileOf(asset_guid, id, wanted, found, registry)
      const revision = track.revision as Revision
      const asset = { id, version }
      const name = assetName(asset_guid, revision, asset, extension)
      await assertThere(name)
      const type = registry.get(id)?.files[extension] ?? UNKNOWN_TYPE
      const file_name = `${asset_guid}.${id}.${extension}`
      const options = { contentType: type, disposition: dispositionOf(file_name) }
      const { url, expires } =
        (await assets.link?.(name, {
          ...options,
          expiresInSeconds: expires_in,
          signal: aborting,
        })) ?? links.sign({ guid: asset_guid, revision, asset, extension }, expires_in)
      reply.header('cache-control', 'no-store')
      return {
        url,
        expires: expires.toISOString(),
        ...{ type, bytes, file_name, asset: id, version, revision },
      }
    },
  )
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
