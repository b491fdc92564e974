/**
 * Two tenants with campaigns of very different length: who gets what share of the queue?
 *   npm run bench:fairness -- [--weights 3:1] [--seconds 300] [--lines 40000] [--times 100]
 * There is no audio work. `weights`: of the tenant with the long list, and of the one with the short list. `lines`: the
 * short list; it has to last. `times`: how many times as long the other one is.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Campaign } from '#shared/contracts/api/campaign.ts'
import { laneChain, NOTHING, writeManifest } from './lane-chain.ts'

const { values } = parseArgs({
  options: {
    weights: { type: 'string', default: '1:1' },
    seconds: { type: 'string', default: '300' },
    lines: { type: 'string', default: '40000' },
    times: { type: 'string', default: '100' },
  },
})
const [long, short] = values.weights.split(':').map(Number)
process.env.TRACKCHAIN_TENANTS = JSON.stringify({
  long: { weight: long },
  short: { weight: short },
})
const { client, folder, masters, close } = await laneChain({ masters: undefined })

try {
  const lines = Number(values.lines)
  const ids = [
    await begun('long', lines * Number(values.times)),
    await begun('short', lines),
  ] as const
  for (const id of ids) await client.post(`/v1/campaigns/${id}/start`, {})
  // What is open at first has been sent before the other began.
  await sleep(10_000)
  const before = await Promise.all(ids.map(shown))
  await sleep(Number(values.seconds) * 1000)
  const after = await Promise.all(ids.map(shown))
  const [most, few] = after.map(({ done }, nth) => done - (before[nth]?.done ?? 0))
  const share = (100 * (most ?? 0)) / ((most ?? 0) + (few ?? 0))
  console.log(
    `weights ${values.weights}, ${values.seconds} s: ${most} items of the long list and ${few} of the short one, ${share.toFixed(1)} : ${(100 - share).toFixed(1)}; waiting ${after.map(({ waiting }) => waiting).join(' and ')}`,
  )
} finally {
  await close()
}

/** Makes the list of a campaign. @returns its id */
async function begun(tenant: string, lines: number): Promise<string> {
  const path = join(folder, `${tenant}.ndjson`)
  const line = (nth: number) => ({ asset_guid: `${tenant}-${nth}`, master_uri: masters[0] })
  await writeManifest(path, Iterator.from(Array(lines).keys()).map(line))
  const wish = {
    ...{ name: tenant, tenant, manifest: `file://${path}` },
    derivative_assets: NOTHING,
  }
  const { id } = await client.post<Campaign>('/v1/campaigns', wish)
  while ((await shown(id)).state === 'enumerating') await sleep(500)
  return id
}

async function shown(id: string): Promise<Campaign> {
  return await client.get<Campaign>(`/v1/campaigns/${id}`)
}
