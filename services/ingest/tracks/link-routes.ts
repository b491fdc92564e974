import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Registry } from '#shared/assets/registry.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { StoreError } from '#shared/contracts/errors/store.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { UNKNOWN_TYPE } from './asset-routes.ts'
import type { LinkSigner } from './link-signer.ts'
import { dispositionOf, sendFile } from './send-file.ts'

// No patterns: what is signed is one of ours, and whatever else is in an address was not signed.
const Params = Type.Object({
  asset_guid: Type.String(),
  revision: Type.String(),
  file: Type.String(),
})
type Params = Static<typeof Params>

const Query = Type.Object({
  expires: Type.Optional(Type.String()),
  signature: Type.Optional(Type.String()),
})
type Query = Static<typeof Query>

interface LinkDeps {
  readonly registry: Registry
  readonly assets: StoreDriver
  readonly links: LinkSigner
  /** Aborts when downloads under way have to be given up. */
  readonly aborting: AbortSignal
}

/**
 * GET and HEAD /v1/links/…: files at addresses that GET /v1/tracks/{asset_guid}/assets/{asset}/link has signed. The
 * signature is the right to fetch them, so there is no token. The database is not asked.
 */
export async function linkRoutes(
  app: FastifyInstance,
  { registry, assets, links, aborting }: LinkDeps,
): Promise<void> {
  app.route<{ Params: Params; Querystring: Query }>({
    method: ['GET', 'HEAD'],
    url: '/v1/links/:asset_guid/:revision/:file',
    // Clients do not build such an address, but use it as it is.
    schema: { hide: true, params: Params, querystring: Query },
    config: { public: true, embeds: true },
    exposeHeadRoute: false,
    async handler(request, reply) {
      const { asset_guid, revision, file } = request.params
      const { expires, signature, ...more } = request.query
      if (Object.keys(more).length > 0)
        throw new HttpError('LINK_INVALID', 'The address has a parameter that was not signed.')
      const checked = links.check({ guid: asset_guid, revision, file, expires, signature })
      const { name, asset, extension } = checked
      const found = await assets.stat(name, { signal: aborting })
      if (found === undefined) throw new StoreError('not-found', `${name} is gone`)
      const { bytes } = found
      return sendFile(request, reply, {
        etag: `"${name}"`,
        type: registry.get(asset.id)?.files[extension] ?? UNKNOWN_TYPE,
        disposition: dispositionOf(`${asset_guid}.${asset.id}.${extension}`),
        assertThere: async () => {},
        open: async () => ({
          bytes,
          read: (start, end) => assets.read(name, { start, end, signal: aborting }),
        }),
      })
    },
  })
}
