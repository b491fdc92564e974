import { join } from 'node:path'
import t from 'tap'
import { loadRegistry } from '#shared/assets/registry.ts'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { campaignId, createCampaign } from '#shared/catalogue/campaigns/create-campaign.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import type { RunAccepted } from '#shared/contracts/messages/run.ts'
import { ONE_MACHINE, topology } from '#shared/contracts/topology.ts'
import { releaseOnce } from '../../../services/publish/campaigns/release.ts'
import { startPubsubServer } from '../../../tools/local/pubsub/server.ts'
import { catalogues, ended } from '../../shared/catalogue/fixture.ts'
import { timeLimit, until } from '../../support/patience.ts'

const fresh = await catalogues(t)
const registry = await loadRegistry()
const ROUTES = { cloud: { templates: [], prefixes: ['file:///masters'], core_slowdown: 1 } }
/** Jobs that end in a test, and in each round of it. */
const ENDED = 600
const A_ROUND = 50
/** Items of the long list that there are rows of: more than are released. */
const ROWS = 2_000

for (const [heavy, share] of [
  [1, 0.5],
  [3, 0.75],
] as const)
  t.test(
    `of two tenants with backlogs of 100 : 1 and weights of ${heavy} : 1 one gets ${100 * share} %`,
    async (t) => {
      const { database } = await fresh()
      const pubsub = await startPubsubServer({ port: 0, file: join(t.testdir(), 'queue.db') })
      const bus = pubsubBus({ projectId: 'test', endpoint: `127.0.0.1:${pubsub.port}` })
      await bus.ensure(topology(['cloud'], ONE_MACHINE))
      const queue: RunAccepted[] = []
      let arrived = 0
      const options = { concurrency: 50, longestMs: 5000, onError: () => {} }
      const subscriber = bus.subscribe('stage.backfill', options, async ({ data }) => {
        queue.push(JSON.parse(data.toString()))
        arrived++
        return 'ack'
      })
      t.teardown(async () => {
        await subscriber.close()
        await bus.close()
        await pubsub.close()
      })
      const tenants = { long: { weight: heavy }, short: {} }
      for (const [tenant, items] of [
        ['long', 100 * ROWS],
        ['short', ROWS],
      ] as const) {
        const id = campaignId()
        const source = { kind: 'manifest', uri: 'file:///lists/none.ndjson' } as const
        const rest = { name: tenant, assets: ['bpm'], starts: true, weight: 1, rate: null }
        await createCampaign(database, { id, tenant, source, by: 'a test', ...rest })
        await database.query(
          {
            text: `with filled as (
              insert into campaign_item (campaign, place, asset_guid)
              select number, place, tenant || place from campaign, generate_series(1, $3::int) place where id = $1
            )
            update campaign set state = 'running', items = $2, enumerated_at = now() where id = $1`,
          },
          [id, items, ROWS],
        )
      }
      const deps = {
        ...{ database, bus, stopping: timeLimit(120_000) },
        settings: { registry, routes: ROUTES, uploads: 'file:///var/uploads', tenants },
        weightOf: (tenant: string) => (tenant === 'long' ? heavy : 1),
      }
      let released = 0
      let ofLong = 0
      for (let done = 0; done < ENDED; done += A_ROUND) {
        released += await releaseOnce(deps)
        await until(() => arrived === released)
        const runs = queue.splice(0, A_ROUND)
        ofLong += runs.filter(({ request }) => request.tenant === 'long').length
        await recordRuns(
          database,
          runs.map((run) => ended(run)),
        )
      }
      const got = ofLong / ENDED
      t.ok(Math.abs(got - share) <= 0.1, `${Math.round(100 * got)} %`)
    },
  )
