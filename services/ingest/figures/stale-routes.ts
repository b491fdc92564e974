import type { FastifyInstance } from 'fastify'
import type { Registry } from '#shared/assets/registry.ts'
import type { Database } from '#shared/catalogue/database.ts'
import { readStale } from '#shared/catalogue/figures/stale.ts'
import { Stale } from '#shared/contracts/api/stale.ts'
import { queryCatalogue } from '../http/query.ts'
import { jsonResponse, refused } from '../http/responses.ts'

const schema = {
  operationId: 'getStale',
  tags: ['numbers'],
  summary: 'See which assets tracks have in which version',
  description: [
    'For each derivative asset that can be made: the tracks that have it in its current version, in older ones, or not at all, and those of which it has failed.',
    'Of the current revision of each master. Each track counts once for each asset. `GET /v1/tracks?stale=bpm` and `?lacks=bpm` list them.',
  ].join(' '),
  response: {
    200: jsonResponse('The assets, by id.', Stale),
    ...refused,
  },
}

/** GET /v1/stale. */
export async function staleRoutes(
  app: FastifyInstance,
  { database, registry }: { readonly database: Database; readonly registry: Registry },
): Promise<void> {
  app.get(
    '/v1/stale',
    { schema, config: { scope: 'read' } },
    async (_, reply): Promise<Stale> => {
      const known = [...registry.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1))
      const asked = known.map(({ id, version }) => ({ asset: id, version }))
      const found = await queryCatalogue((signal) => readStale(database, asked, signal))
      reply.header('cache-control', 'no-store')
      return {
        assets: found.map((each) => ({
          ...each,
          title: registry.get(each.asset)?.title ?? each.asset,
          stale: each.older.reduce((sum, { tracks }) => sum + tracks, 0),
          older: [...each.older],
        })),
      }
    },
  )
}
