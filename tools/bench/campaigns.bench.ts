/**
 * Measures how fast a manifest becomes the items of a campaign, with its memory: a million lines of real shape, of which
 * one in a thousand cannot be read, and one in a thousand is a copy.
 * `npm run bench:campaigns -- [--lines 1000000] [--memory 1GB] [--csv]`
 */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { loadRegistry } from '#shared/assets/registry.ts'
import { campaignId, createCampaign } from '#shared/catalogue/campaigns/create-campaign.ts'
import { findCampaign } from '#shared/catalogue/campaigns/read-campaigns.ts'
import { openDatabase } from '#shared/catalogue/database.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import { uuidFrom } from '#shared/contracts/names.ts'
import { locate } from '#shared/store/open.ts'
import { enumerateOnce } from '../../services/publish/campaigns/enumerate.ts'
import { ownPostgres } from '../local/postgres/temporary.ts'

const { values } = parseArgs({
  options: {
    lines: { type: 'string', default: '1000000' },
    memory: { type: 'string', default: '1GB' },
    csv: { type: 'boolean', default: false },
  },
})
const LINES = Number(values.lines)

const folder = await mkdtemp(join(tmpdir(), 'trackchain-campaigns-'))
const file = join(folder, values.csv ? 'manifest.csv' : 'manifest.ndjson')
// With the settings of a chain on one machine, fsync included.
const postgres = await ownPostgres({ max_wal_size: '4GB', shared_buffers: values.memory })
const database = openDatabase({ dsn: await postgres.database() })
try {
  await migrate(database)
  await written()
  const { size } = await stat(file)
  console.log(`${LINES.toLocaleString('en')} lines, ${Math.round(size / 1e6)} MB`)
  await enumerated()
} finally {
  await database.close()
  await postgres.stop()
  await rm(folder, { recursive: true })
}

async function written(): Promise<void> {
  const out = createWriteStream(file)
  if (values.csv) out.write('asset_guid,master_uri,title\n')
  for (let nth = 0; nth < LINES; nth++) {
    const guid = uuidFrom(`${nth % 1000 === 999 ? nth - 500 : nth}`)
    const uri = `file://${folder}/masters/${guid}.wav`
    const whole = values.csv
      ? `${guid},${uri},Track ${nth}\n`
      : `${JSON.stringify({ asset_guid: guid, master_uri: uri, title: `Track ${nth}` })}\n`
    const line = nth % 1000 === 500 ? '{"asset_guid":\n' : whole
    if (!out.write(line)) await once(out, 'drain')
  }
  out.end()
  await once(out, 'close')
}

async function enumerated(): Promise<void> {
  const prefixes = [`file://${folder}/`]
  const routes = { cloud: { templates: [], prefixes, core_slowdown: 1 } }
  const settings = {
    registry: await loadRegistry(),
    routes,
    tenants: {},
    uploads: `file://${folder}/uploads`,
  }
  const id = campaignId()
  await createCampaign(database, {
    ...{ id, tenant: 'default', name: 'a benchmark', by: 'a benchmark', starts: false },
    ...{
      source: { kind: 'manifest', uri: `file://${file}` },
      assets: ['bpm'],
      weight: 1,
      rate: null,
    },
  })
  const deps = { database, settings, stopping: new AbortController().signal }
  const began = performance.now()
  let [steps, longestMs, peak] = [0, 0, 0]
  for (let isWork = true; isWork; ) {
    const before = performance.now()
    isWork = await enumerateOnce({ ...deps, locate: (uri) => locate(uri, { prefixes }) })
    longestMs = Math.max(longestMs, performance.now() - before)
    peak = Math.max(peak, process.memoryUsage.rss())
    if (isWork) steps++
  }
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage()
  const found = await findCampaign(database, id)
  const { items = 0, refused = 0, state } = found?.campaign ?? {}
  const figures = {
    ...{ state, items, refused },
    'items/s': Math.round(items / seconds),
    'µs of core an item, without the database': Math.round((user + system) / LINES),
    ...{ steps, 'longest step, s': (longestMs / 1000).toFixed(1), 'peak RSS, MiB': peak >> 20 },
  }
  for (const [name, value] of Object.entries(figures)) console.log(`${name}: ${value}`)
}
