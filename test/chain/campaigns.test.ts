import { fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { loadRegistry } from '#shared/assets/registry.ts'
import type { CampaignSource } from '#shared/catalogue/campaigns/campaign.ts'
import { campaignId, createCampaign } from '#shared/catalogue/campaigns/create-campaign.ts'
import { findCampaign } from '#shared/catalogue/campaigns/read-campaigns.ts'
import { cancellationsAfter } from '#shared/catalogue/jobs/read-cancellations.ts'
import { jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import type { RunAccepted } from '#shared/contracts/messages/run.ts'
import { masterPrefixes } from '#shared/contracts/route.ts'
import { Cancellations } from '#shared/frame/cancellations.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { locate } from '#shared/store/open.ts'
import { campaignActions } from '../../services/ingest/campaigns/actions.ts'
import { cancelling } from '../../services/ingest/cancel/cancelling.ts'
import { enumerateOnce } from '../../services/publish/campaigns/enumerate.ts'
import { releaseOnce } from '../../services/publish/campaigns/release.ts'
import { endRowsOnce } from '../../services/publish/end-cancelled.ts'
import { wav } from '../support/audio.ts'
import { surroundings, until } from '../support/chain.ts'
import { allConsumers } from '../support/one-process.ts'
import { club } from '../support/synth.ts'

const around = await surroundings({ tenants: { heavy: { weight: 3 }, light: {} } })
const { database, config, bus, folder, letters } = around
t.teardown(() => around.close())
const log = createLog('campaigns', 'silent')
const registry = await loadRegistry(config.derivatives)
const stopping = new AbortController().signal
const prefixes = Object.values(config.routes).flatMap(masterPrefixes)
const { routes, tenants, uploads } = config
const settings = { registry, routes, uploads, tenants }
const weightOf = (tenant: string) => tenants[tenant]?.weight ?? 1
const deps = {
  ...{ database, bus, settings, stopping, weightOf },
  locate: (uri: string) => locate(uri, { prefixes }),
}
const known = new Cancellations()
const actions = campaignActions({
  ...{ database, registry, routes, tenants, uploads: around.store('assets') },
  ...{ onCancelled: () => {}, aborting: stopping },
})
const consumers = (only?: readonly string[]) =>
  allConsumers({ config, bus, database, log, cancellations: known, ...(only && { only }) })
/** Lets the services know what was cancelled, as their question to ingest would. */
async function tell() {
  const { cancellations } = await cancellationsAfter(database, 0, 1000)
  known.add(cancellations.map((each) => ({ ...each, before: each.before.toISOString() })))
}
const by = { by: 'a person', reason: null }

const tracks = Array.from({ length: 8 }, (_, nth) => `track-${nth}`)
const master = wav(club(44_100))
for (const track of tracks) await around.master(track, master)

async function campaign(
  source: CampaignSource | readonly string[],
  {
    assets = ['waveform'],
    tenant = 'default',
  }: { assets?: readonly string[]; tenant?: string } = {},
) {
  const id = campaignId()
  let from = source as CampaignSource
  if (Array.isArray(source)) {
    const text = source.map((asset_guid) => `${JSON.stringify({ asset_guid })}\n`).join('')
    await writeFile(join(folder, 'masters', `${id}.ndjson`), text)
    from = { kind: 'manifest', uri: `file://${join(folder, 'masters', `${id}.ndjson`)}` }
  }
  const rest = { tenant, name: 'a test', weight: 1, rate: null, by: 'a person' }
  await createCampaign(database, { id, source: from, assets, starts: true, ...rest })
  while (await enumerateOnce(deps));
  return id
}
const state = async (id: string) => {
  const found = await findCampaign(database, id)
  if (found === undefined) throw new Error(`there is no ${id}`)
  const { campaign, outcomes, ...rest } = found
  return { ...campaign, ...outcomes, ...rest }
}
const isDone = (id: string) =>
  until(async () => {
    await releaseOnce(deps)
    return (await state(id)).state === 'done'
  })
/** What a process hears that consumes `stage` of the lane instead of the chain. */
function staged() {
  const all: RunAccepted[] = []
  const options = { concurrency: 50, longestMs: 5000, onError: () => {} }
  const subscriber = bus.subscribe('stage.backfill', options, async ({ data }) => {
    all.push(JSON.parse(data.toString()))
    return 'ack'
  })
  return { all, close: () => subscriber.close() }
}

t.test('a campaign is made, and is a request like any other', async (t) => {
  const all = await consumers()
  t.teardown(() => all.close())
  const id = await campaign([...tracks.slice(0, 3), 'nowhere'])
  t.match(await state(id), { state: 'running', items: 4, waiting: 4, open: 0 })
  await isDone(id)
  t.match(await state(id), {
    ...{
      items: 4,
      released: 4,
      waiting: 0,
      open: 0,
      done: 3,
      failed: 1,
      partial: 0,
      eta: null,
    },
    ...{ started: Date, ended: Date },
  })
  const jobs = await jobsOfRequest(database, id)
  t.match(jobs.map(({ track, state }) => [track, state]).sort(), [
    ['nowhere', 'failed'],
    ...tracks.slice(0, 3).map((track) => [track, 'done']),
  ])
  t.ok(jobs.every(({ request }) => request.lane === 'backfill'))
  t.equal(around.published.get('track-0')?.[0]?.request_id, id)
  t.equal(letters.length, 1, 'of the one that failed')

  const again = await campaign({ kind: 'failed', campaign: id })
  t.match(await state(again), { items: 1 }, 'what failed is tried again')
  await around.master('nowhere', master)
  await isDone(again)
  t.match(await state(again), { done: 1, failed: 0 })
})

t.test(
  'two campaigns over the same tracks: the second finds what the first has made',
  async (t) => {
    const all = await consumers()
    t.teardown(() => all.close())
    const ids = [await campaign(tracks.slice(3, 6)), await campaign(tracks.slice(3, 6))]
    await Promise.all(ids.map(isDone))
    for (const id of ids) t.match(await state(id), { done: 3, failed: 0 })
    const [made] = await database.query<{ count: number }>({
      text: `select count(*)::int as count from event where step = 'encode' and verdict = 'done'
      and track in ('track-3', 'track-4', 'track-5') and units <> '{}'`,
    })
    t.ok((made?.count ?? 0) >= 3)
    const question = { kind: 'question', stale: ['waveform'], filter: { q: 'track-' } } as const
    const nothing = await campaign(question)
    t.match(await state(nothing), { items: 0 })
    await isDone(nothing)
  },
)

t.test('paused, nothing new begins; resumed, what was withdrawn comes first', async (t) => {
  const heard = staged()
  const id = await campaign(tracks.slice(0, 6), { assets: ['echo'] })
  await actions.change(id, { rate: 1e5 })
  await database.query({ text: 'update campaign set rate = 60 where id = $1' }, [id])
  await releaseOnce(deps)
  await database.query({ text: 'update campaign set rate = null where id = $1' }, [id])
  const [first] = await until(() => heard.all.length > 0 && heard.all)
  t.match(await state(id), { open: 1, waiting: 5, released: 1 })

  t.match(await actions.move(id, 'pause', { by: 'x', reason: 'a look' }), {
    ...{ state: 'paused', open: 0, waiting: 6, cancelled: 0 },
    paused: { code: 'PAUSED', sentence: 'a look' },
  })
  await tell()
  t.ok(first && known.isCancelled(first), 'what is in the queue is not begun')
  t.equal(await releaseOnce(deps), 0, 'nothing is released')
  t.match(await jobsOfRequest(database, id), [{ state: 'cancelled', announced: null }])

  t.match(await actions.move(id, 'resume', by), { state: 'running' })
  t.equal(await releaseOnce(deps), 1)
  t.equal(await releaseOnce(deps), 5)
  await until(() => heard.all.length === 7)
  const again = heard.all[1]
  t.match(again, { run: 2, request: { asset_guid: first?.request.asset_guid } })
  t.notOk(again && known.isCancelled(again))
  t.match(await state(id), { open: 6, waiting: 0, released: 6 })
  await actions.move(id, 'cancel', by)
  await heard.close()

  const all = await consumers()
  t.teardown(() => all.close())
  await tell()
  t.match(await state(id), { state: 'cancelled', open: 0, waiting: 6 })
  t.equal(await releaseOnce(deps), 0)
  await actions.move(id, 'resume', by)
  await isDone(id)
  t.match(await state(id), { done: 6, cancelled: 0, failed: 0 }, 'asked again it runs')
})

t.test('a cancelled campaign has ended, and its messages come to nothing', async (t) => {
  const id = await campaign(tracks, { assets: ['preview'] })
  await releaseOnce(deps)
  const before = letters.length
  t.match(await actions.move(id, 'cancel', { by: 'x', reason: 'no more' }), {
    ...{ state: 'cancelled', open: 0 },
  })
  await tell()
  const all = await consumers()
  t.teardown(() => all.close())
  await until(() => around.isIdle())
  t.match(await state(id), { state: 'cancelled', done: 0, open: 0, waiting: 8 })
  t.equal(letters.length, before)
  t.equal(await endRowsOnce(database, stopping), 0)
  const [event] = await database.query<{ sentence: string }>({
    text: `select sentence from event where step = 'operator' and job in (select id from job where request_id = '${id}')`,
  })
  t.match(event?.sentence, /cancelled by x: its campaign is cancelled: no more/)
})

t.test(
  'while Pub/Sub takes nothing the campaign is not held, and nothing is lost',
  async (t) => {
    const id = await campaign(['silent-1', 'silent-2'])
    const silent = { ...bus, publish: () => new Promise<string>(() => {}) }
    await t.rejects(releaseOnce({ ...deps, bus: silent, sendMs: 20 }), { name: 'TimeoutError' })
    t.match(await state(id), { released: 0, waiting: 2 })
    t.equal(await releaseOnce(deps), 2)
    await actions.move(id, 'cancel', by)
  },
)

t.test('killed between the rows and the place, the same jobs come again', async (t) => {
  const guids = Array.from({ length: 40 }, (_, nth) => `killed-${nth}`)
  const id = await campaign(guids)
  const heard = staged()
  for (const seam of ['before publish 1', 'after publish 20', 'after publish 40']) {
    const child = fork(
      new URL('../support/processes/releasing-child.ts', import.meta.url),
      [seam],
      {
        env: { ...process.env, ...around.env },
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      },
    )
    const [code, signal] = await once(child, 'exit')
    t.same([code, signal], [null, 'SIGKILL'], seam)
    t.match(await state(id), { released: 0, waiting: 40 })
  }
  // The server may notice the death of the last one later.
  await until(async () => (await releaseOnce(deps)) === 40)
  const own = () => heard.all.filter(({ request }) => request.request_id === id)
  await until(() => own().length >= 100)
  await heard.close()
  const [counts] = await database.query({
    text: `select count(*)::int as all, count(distinct asset_guid)::int as tracks, max(run)::int as run
      from job where request_id = '${id}'`,
  })
  t.same(counts, { all: 40, tracks: 40, run: 1 })
  t.equal(new Set(own().map(({ request }) => request.asset_guid)).size, 40)
  t.match(await state(id), { released: 40, open: 40 })
  let withdrawn = 0
  const cancelAll = async () =>
    await cancelling(database, () => withdrawn++).request({ requestId: id, track: null, ...by })
  const cancelled = await cancelAll()
  t.match(cancelled, { ended: 40, left: false }, 'its request is cancelled')
  t.match(await state(id), { state: 'cancelled', open: 0, waiting: 40 })
  t.same(await cancelAll(), { ...cancelled, ended: 0 }, 'asking twice is asking once')
  t.equal(withdrawn, 1)
})

t.test('tenants share the queue by their weights, however much each has waiting', async (t) => {
  const guids = (count: number) => Array.from({ length: count }, (_, nth) => `shared-${nth}`)
  const heavy = await campaign(guids(160), { tenant: 'heavy' })
  const light = await campaign(guids(600), { tenant: 'light' })
  while ((await releaseOnce(deps)) > 0);
  t.match(await state(heavy), { open: 150, waiting: 10 })
  t.match(await state(light), { open: 50, waiting: 550 })
  const [job] = await jobsOfRequest(database, light)
  t.equal(job?.request.tenant, 'light')
  await actions.move(heavy, 'pause', by)
  while ((await releaseOnce(deps)) > 0);
  t.match(
    await state(light),
    { open: 200, waiting: 400 },
    'who has nothing to do leaves its share',
  )
  await actions.move(heavy, 'resume', by)
  await actions.move(light, 'cancel', by)
  while ((await releaseOnce(deps)) > 0);
  t.match(await state(heavy), { open: 160, waiting: 0 })
  await actions.move(heavy, 'cancel', by)
})
