/**
 * A catalogue in which some tracks have an old version of an asset: does a campaign for what is stale make these and no
 * others, and a second one nothing? Fails if not.
 *   npm run bench:stale -- [--tracks 20000] [--old 0.4]
 * There is no audio work. `old`: the share that was made before the version went up.
 */
import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openDatabase } from '#shared/catalogue/database.ts'
import type { Campaign } from '#shared/contracts/api/campaign.ts'
import { laneChain, laneFolder, writeManifest } from './lane-chain.ts'

const { values } = parseArgs({
  options: {
    tracks: { type: 'string', default: '20000' },
    old: { type: 'string', default: '0.4' },
  },
})
const TRACKS = Number(values.tracks)
const OLD = Math.round(TRACKS * Number(values.old))
const ASSET = 'versioned'

const folder = await laneFolder()
const derivatives = join(folder, 'derivatives')
await mkdir(derivatives)
try {
  await ofVersion(1, async (lanes) => {
    await ended(lanes, await ofTracks(lanes, 0, OLD))
  })
  await ofVersion(2, async (lanes) => {
    await ended(lanes, await ofTracks(lanes, OLD, TRACKS))
    for (const expected of [OLD, 0]) {
      const before = await made(lanes)
      const began = performance.now()
      const campaign = await ended(lanes, {
        ...{ name: `stale ${expected}`, question: { stale: [ASSET] } },
      })
      const seconds = Math.round((performance.now() - began) / 1000)
      const after = await made(lanes)
      console.log(
        `stale: ${campaign.items} of ${TRACKS} tracks, ${campaign.done} done in ${seconds} s; made before ${shown(before)}, after ${shown(after)}`,
      )
      assert.deepEqual([campaign.items, campaign.done], [expected, expected])
      // Each track that was old has both versions, and all others what they had.
      assert.deepEqual(after, { '1': OLD, '2': TRACKS, runs: (before.runs ?? 0) + expected })
    }
  })
} finally {
  await rm(folder, { recursive: true, force: true })
}

type Lanes = Awaited<ReturnType<typeof laneChain>>

/** Runs a chain that makes this version of the asset, on the data of the one before. */
async function ofVersion(version: number, act: (lanes: Lanes) => Promise<void>) {
  const definition = `export default {
    id: '${ASSET}', version: ${version}, stage: 'encode', title: 'Nothing, in versions',
    files: { bin: 'application/octet-stream' }, cost: { fixedMs: 1, msPerSecond: 0 },
    render: async () => ({ bin: Buffer.from([${version}]) }),
  }`
  await writeFile(join(derivatives, `${ASSET}.mjs`), definition)
  const lanes = await laneChain({ masters: undefined, folder, derivatives })
  try {
    await act(lanes)
  } finally {
    await lanes.close()
  }
}

/** The wish for a campaign over the tracks [from, to). */
async function ofTracks({ masters }: Lanes, from: number, to: number): Promise<object> {
  const path = join(folder, `${from}.ndjson`)
  const line = (nth: number) => ({ asset_guid: `track-${from + nth}`, master_uri: masters[0] })
  await writeManifest(path, Iterator.from(Array(to - from).keys()).map(line))
  return { name: `${from}`, manifest: `file://${path}`, derivative_assets: [ASSET] }
}

/** Starts a campaign as soon as its list is made, and waits for its end. */
async function ended({ client }: Lanes, wish: object): Promise<Campaign> {
  const { id } = await client.post<Campaign>('/v1/campaigns', wish)
  const now = () => client.get<Campaign>(`/v1/campaigns/${id}`)
  while ((await now()).state === 'enumerating') await sleep(200)
  await client.post(`/v1/campaigns/${id}/start`, {})
  while ((await now()).state !== 'done') await sleep(500)
  return await now()
}

/** How many tracks have each version, and how many runs of jobs have been announced. */
async function made({ chain }: Lanes): Promise<Record<string, number>> {
  const database = openDatabase({ dsn: chain.database })
  try {
    const found = await database.query<{ version: string; tracks: number }>({
      text: `select version::text, count(*)::int as tracks from asset
        where asset = '${ASSET}' and state = 'made' group by version
        union all select 'runs', coalesce(sum(run), 0)::int from job where announced_at is not null`,
    })
    return Object.fromEntries(found.map(({ version, tracks }) => [version, tracks]))
  } finally {
    await database.close()
  }
}

function shown(counts: Record<string, number>): string {
  return Object.entries(counts)
    .map(([what, count]) => (what === 'runs' ? `${count} runs` : `v${what} ${count}`))
    .join(', ')
}
