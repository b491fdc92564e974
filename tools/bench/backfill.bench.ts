/**
 * Runs a campaign on a whole chain, and prints what an operator would ask: how fast its list is made while processes are
 * killed, how long urgent jobs take meanwhile, how soon a pause and a cancellation take effect, and how far the time and
 * the cost that it names lie from those that it takes.
 *   npm run bench:backfill -- [--lines 200000] [--published 200000] [--kills 20] [--urgent 200] [--saturate 60]
 *   npm run bench:backfill -- --masters FOLDER [--assets bpm,loudness]
 * By default there is no audio work. `masters`: of the files of this folder assets are made, after a forecast.
 * `published`: when that many have been it is cancelled, and asked for again. `saturate`: for that many seconds more urgent
 * jobs wait than can be worked on.
 */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { retry } from '#shared/async/retry.ts'
import { openDatabase } from '#shared/catalogue/database.ts'
import type { Campaign } from '#shared/contracts/api/campaign.ts'
import { uuidFrom } from '#shared/contracts/names.ts'
import { isPassing } from '../client/client.ts'
import { laneChain, NOTHING, shownTimes, writeManifest } from './lane-chain.ts'

const { values } = parseArgs({
  options: {
    lines: { type: 'string', default: '200000' },
    masters: { type: 'string' },
    assets: { type: 'string', default: 'bpm,loudness' },
    published: { type: 'string' },
    kills: { type: 'string', default: '0' },
    urgent: { type: 'string', default: '0' },
    saturate: { type: 'string', default: '0' },
  },
})
const lanes = await laneChain({ masters: values.masters })
const { chain, client, folder, masters, announced } = lanes
const hasMasters = values.masters !== undefined
const LINES = hasMasters ? masters.length : Number(values.lines)
const PUBLISHED = Number(values.published ?? LINES)
const ASSETS = hasMasters ? values.assets.split(',') : NOTHING
/** Who is killed while the list is made, in turns: its driver, the database, the queue, and the door. */
const VICTIMS = ['publish', 'database', 'pubsub', 'ingest']
/** How long millions of rows may be counted, ms. */
const COUNTING_MS = 900_000
/** How long a database that was killed may read its log again, ms: on a slow disk longer than a client waits. */
const RECOVERY_MS = 300_000
/** Urgent jobs that wait at any time while they saturate the chain. */
const URGENT_WAITING = 400

const manifest = join(folder, 'manifest.ndjson')
const database = openDatabase({ dsn: chain.database, statementMs: COUNTING_MS })

try {
  await written()
  const { id } = await enumerated()
  if (hasMasters) await forecast(id)
  const began = performance.now()
  await moved(id, 'start')
  if (values.urgent !== '0') await urgentAmong(id, Number(values.urgent))
  if (values.saturate !== '0') await saturated(id, Number(values.saturate))
  await paused(id)
  await worked(id, began)
  if (PUBLISHED < LINES) await cancelled(id)
  await summed(id)
} finally {
  await database.close()
  await lanes.close()
}

/** Without masters of their own, one in a thousand lines is a copy of another. */
async function written(): Promise<void> {
  const line = (nth: number) => ({
    asset_guid: uuidFrom(`${nth % 1000 === 999 && !hasMasters ? nth - 500 : nth}`),
    master_uri: masters[nth % masters.length],
  })
  await writeManifest(manifest, Iterator.from(Array(LINES).keys()).map(line))
}

async function enumerated(): Promise<Campaign> {
  const began = performance.now()
  const wish = {
    name: 'a benchmark',
    manifest: `file://${manifest}`,
    derivative_assets: ASSETS,
  }
  const { id } = await client.post<Campaign>('/v1/campaigns', wish)
  const kills = Number(values.kills)
  let [killed, peak] = [0, 0]
  let campaign = await shown(id)
  while (campaign.state === 'enumerating') {
    await sleep(500)
    campaign = await shown(id)
    peak = Math.max(peak, await residentMiB(chain.pids().publish))
    // Evenly over the list, so that each falls into another part of it.
    if (killed >= kills || campaign.looked_at < ((killed + 1) * LINES) / (kills + 1)) continue
    if (chain.down().length > 0) continue
    const name = VICTIMS[killed % VICTIMS.length] ?? ''
    const pid = chain.pids()[name]
    assert(pid !== undefined, `no process ${name} among ${Object.keys(chain.pids())}`)
    process.kill(pid, 'SIGKILL')
    killed++
    await sleep(300)
  }
  const seconds = (performance.now() - began) / 1000
  const [rows] = await asked<{ items: number; tracks: number; last: number }>(
    'select count(*)::int as items, count(distinct asset_guid)::int as tracks, max(place)::int as last from campaign_item',
  )
  console.log(
    `list: ${campaign.items} items of ${LINES} lines in ${seconds.toFixed(0)} s (${Math.round(LINES / seconds)}/s), ${killed} kills, publish at most ${peak} MiB; rows ${rows?.items}, tracks ${rows?.tracks}, last place ${rows?.last}, refused ${campaign.refused}`,
  )
  return campaign
}

/** Prints what the campaign is forecast to take. */
async function forecast(id: string): Promise<void> {
  const began = performance.now()
  await moved(id, 'forecast')
  for (;;) {
    const result = (await shown(id)).forecast?.result
    if (result) {
      const { core_seconds: all, from, to, sampled } = result
      const range = `${from.core_seconds.toFixed(0)} to ${to.core_seconds.toFixed(0)}`
      console.log(
        `forecast: ${all.toFixed(0)} core-s (${range}) from ${sampled} items in ${Math.round((performance.now() - began) / 1000)} s`,
      )
      return
    }
    await sleep(500)
  }
}

/** Urgent jobs, one after the other, while the items wait. */
async function urgentAmong(id: string, count: number): Promise<void> {
  const took = await lanes.oneByOne(
    Array.from({ length: count }, (_, n) => urgentJob(`urgent-${n}`)),
  )
  const { waiting, open } = await shown(id)
  console.log(`urgent while ${waiting} wait and ${open} are open: ${shownTimes(took)}`)
}

/** Keeps urgent jobs waiting: what of all that ends is of the campaign? */
async function saturated(id: string, seconds: number): Promise<void> {
  const ended = async () => {
    const { done, partial, failed } = await shown(id)
    return done + partial + failed
  }
  const urgentDone = () => [...announced.keys()].filter((guid) => guid.startsWith('flood-'))
  const before = await ended()
  let posted = 0
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    const missing = URGENT_WAITING - (posted - urgentDone().length)
    if (missing > 50) {
      const lines = Array.from({ length: missing }, (_, n) => urgentJob(`flood-${posted + n}`))
      await client.submitLines(lines.map((line) => JSON.stringify(line)).join('\n'))
      posted += missing
    }
    await sleep(20)
  }
  const [urgent, own] = [urgentDone().length, (await ended()) - before]
  const share = ((100 * own) / (urgent + own)).toFixed(1)
  console.log(
    `while urgent jobs saturate the chain: ${urgent} of them and ${own} items in ${seconds} s: ${share} % are items`,
  )
}

async function paused(id: string): Promise<void> {
  await sleep(3000)
  // A short list may have ended.
  if ((await shown(id)).state !== 'running') return
  await moved(id, 'pause')
  const at = Date.now()
  await sleep(8000)
  const late = (await lastBegun(id)) - at
  await moved(id, 'resume')
  console.log(`pause: the last step began ${late} ms after the answer`)
}

/** Works until enough is published. */
async function worked(id: string, began: number): Promise<void> {
  const fifths: { readonly share: number; readonly at: number; readonly eta: number }[] = []
  for (let campaign = await shown(id); ; campaign = await shown(id)) {
    const share = campaign.done / campaign.items
    const due = Math.floor(share * 5)
    if (due > (fifths.at(-1)?.share ?? 0) && campaign.eta !== null)
      fifths.push({ share: due, at: Date.now(), eta: Date.parse(campaign.eta.at) })
    if (campaign.done >= PUBLISHED || campaign.state === 'done') break
    await sleep(1000)
  }
  const endedAt = Date.now()
  const seconds = (performance.now() - began) / 1000
  const { done } = await shown(id)
  console.log(
    `${done} items done in ${seconds.toFixed(0)} s (${Math.round((done / seconds) * 60)}/min)`,
  )
  if (PUBLISHED < LINES) return
  // Its last events are recorded.
  await sleep(10_000)
  const { forecast: foreseen, spent } = await shown(id)
  const ratio = (foreseen?.result?.core_seconds ?? Number.NaN) / spent.core_seconds
  console.log(
    `spent ${spent.core_seconds.toFixed(0)} core-s; the forecast is off by ${((ratio - 1) * 100).toFixed(1)} %`,
  )
  for (const { share, at, eta } of fifths.filter(({ share }) => share < 5)) {
    const error = ((eta - at) / (endedAt - at) - 1) * 100
    console.log(`eta at ${share * 20} %: off by ${error.toFixed(0)} % of what was left`)
  }
}

async function cancelled(id: string): Promise<void> {
  const asked = Date.now()
  await moved(id, 'cancel')
  const at = Date.now()
  let emptyMs: number | undefined
  while (Date.now() < at + 60_000 && emptyMs === undefined) {
    await sleep(500)
    const left = await readdir(chain.folder.scratch, { recursive: true, withFileTypes: true })
    if (!left.some((entry) => entry.isFile())) emptyMs = Date.now() - at
  }
  await sleep(Math.max(0, at + 8000 - Date.now()))
  const campaign = await shown(id)
  console.log(
    `cancel with ${campaign.waiting} waiting: answered in ${at - asked} ms, the last step began ${(await lastBegun(id)) - at} ms later, scratch empty after ${emptyMs ?? 'more than 60000'} ms, ${campaign.state}, open ${campaign.open}`,
  )
  const before = campaign.done
  await moved(id, 'resume')
  while ((await shown(id)).done < before + 500) await sleep(200)
  const { open, waiting, done } = await shown(id)
  console.log(`asked for again: ${done} done, ${open} open, ${waiting} waiting`)
  await moved(id, 'cancel')
}

/** When the last step of an item began, ms since the epoch. */
async function lastBegun(id: string): Promise<number> {
  const [row] = await asked<{ last: number }>(
    `select extract(epoch from max(at - ms * interval '1 ms')) * 1000 as last from event
      where step in ('stage', 'analyze', 'encode') and verdict <> 'cancelled'
        and job in (select id from job where request_id = '${id}')`,
  )
  return Math.round(Number(row?.last))
}

async function summed(id: string): Promise<void> {
  const [row] = await asked<Record<string, number>>(
    `select count(*)::int as jobs, count(distinct asset_guid)::int as tracks,
      (select count(*)::int from dead_letter) as letters,
      (select max(attempt) from event) as attempts,
      (select count(*)::int from (select from event where step = 'publish' and verdict = 'done'
        group by job, run having count(*) > 1) twice) as twice
      from job where request_id = '${id}'`,
  )
  console.log(JSON.stringify(row))
}

/** How much memory a process has, MiB; 0 if there is none. Linux only. */
async function residentMiB(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
}

function urgentJob(asset_guid: string) {
  const master_uri = masters[0] ?? ''
  return { asset_guid, master_uri, derivative_assets: ASSETS, lane: 'urgent' as const }
}

async function shown(id: string): Promise<Campaign> {
  const get = () => client.get<Campaign>(`/v1/campaigns/${id}`)
  return await retry(get, { isPassing, withinMs: RECOVERY_MS })
}

async function moved(id: string, move: string): Promise<void> {
  await client.post(`/v1/campaigns/${id}/${move}`, {})
}

async function asked<Row extends object>(text: string): Promise<readonly Row[]> {
  return await database.query<Row>({ text })
}
