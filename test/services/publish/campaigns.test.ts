import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { loadRegistry } from '#shared/assets/registry.ts'
import type { CampaignSource } from '#shared/catalogue/campaigns/campaign.ts'
import { campaignId, createCampaign } from '#shared/catalogue/campaigns/create-campaign.ts'
import { moveCampaign } from '#shared/catalogue/campaigns/move-campaign.ts'
import { campaignRefusals, findCampaign } from '#shared/catalogue/campaigns/read-campaigns.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { locate } from '#shared/store/open.ts'
import { enumerateOnce } from '../../../services/publish/campaigns/enumerate.ts'
import { allowanceOf, windowsOf } from '../../../services/publish/campaigns/windows.ts'
import {
  accepted,
  catalogues,
  ended,
  failed,
  recordDue,
} from '../../shared/catalogue/fixture.ts'

const { database } = await (await catalogues(t))()
const folder = await mkdtemp(join(tmpdir(), 'trackchain-campaigns-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
await mkdir(join(folder, 'lists'))
const prefix = `file://${join(folder, 'lists')}`
const registry = await loadRegistry()
const routes = { cloud: { templates: [], prefixes: [prefix], core_slowdown: 1 } }
const tenants = {}
const settings = { registry, routes, tenants, uploads: `file://${folder}/uploads` }
const within = { prefixes: [prefix] }
const deps = {
  ...{ database, settings, stopping: new AbortController().signal },
  locate: (uri: string) => locate(uri, within),
}

async function campaignOf(
  source: CampaignSource,
  over: { assets?: string[]; starts?: boolean } = {},
) {
  const { assets = ['bpm'], starts = false } = over
  const id = campaignId()
  const rest = { tenant: 'default', name: 'a test', weight: 1, rate: null, by: 'a person' }
  const { number } = await createCampaign(database, { id, source, assets, starts, ...rest })
  return { id, number }
}

async function manifest(name: string, text: string | Uint8Array) {
  await writeFile(join(folder, 'lists', name), text)
  return { kind: 'manifest', uri: `${prefix}/${name}` } as const
}

/** Enumerates to the end, each step as short as can be. */
async function enumerated(id: string, stepMs = 0) {
  let steps = 0
  while (await enumerateOnce(deps, new Set(), stepMs)) steps++
  const found = await findCampaign(database, id)
  if (found === undefined) throw new Error(`there is no ${id}`)
  return { ...found.campaign, steps }
}

const itemsOf = (number: number) =>
  database.query<{ place: number; asset_guid: string; request: object | null }>(
    {
      text: 'select place, asset_guid, request from campaign_item where campaign = $1 order by place',
    },
    [number],
  )
const refusalsOf = async (number: number) =>
  (await campaignRefusals(database, number, { limit: 1000 })).refusals

t.test('each line of a manifest becomes an item, or is refused and says why', async (t) => {
  const lines = [
    '{"asset_guid":"a"}',
    '{"asset_guid":"b","derivative_assets":["key"],"title":"B"}',
    '',
    '{"asset_guid":"a","derivative_assets":["key"]}',
    '{"asset_guid":"c"',
    '{"asset_guid":"d","derivative_assets":["mp4"]}',
    '{"asset_guid":"e","request_id":"mine"}',
    '{"asset_guid":"f","lane":"urgent"}',
    '["g"]',
    `{"asset_guid":"h","title":"${'x'.repeat(70_000)}"}`,
    '{"title":"nobody"}',
    '{"asset_id":7,"master_uri":"file:///elsewhere/7.wav"}',
    '{"asset_id":8}\r',
    '{"asset_guid":"z","derivative_assets":["bpm"]}',
  ]
  const { id, number } = await campaignOf(
    await manifest('mixed.ndjson', `\ufeff${lines.join('\n')}`),
  )
  t.match(await enumerated(id), {
    ...{ state: 'draft', items: 4, refused: 9, lookedAt: 14, enumerated: 1 },
    source: { revision: /^f/ },
  })
  t.same(await itemsOf(number), [
    { place: 1, asset_guid: 'a', request: null },
    { place: 2, asset_guid: 'b', request: { title: 'B', derivative_assets: ['key'] } },
    { place: 3, asset_guid: 'id-8', request: { asset_id: 8 } },
    { place: 4, asset_guid: 'z', request: null },
  ])
  const refused = await refusalsOf(number)
  t.match(
    refused.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0)),
    [
      { line: 4, asset_guid: 'a', code: 'TWICE', sentence: /already/ },
      { line: 5, code: 'NOT_JSON', excerpt: '{"asset_guid":"c"' },
      {
        line: 6,
        asset_guid: 'd',
        code: 'UNKNOWN_DERIVATIVE',
        sentence: /"mp4" is not available/,
      },
      { line: 7, asset_guid: 'e', code: 'NOT_AN_ENCODE_JOB', sentence: /request_id/ },
      { line: 8, asset_guid: 'f', code: 'NOT_AN_ENCODE_JOB', sentence: /lane/ },
      { line: 9, asset_guid: null, code: 'NOT_AN_ENCODE_JOB', sentence: /JSON object/ },
      { line: 10, code: 'NOT_AN_ENCODE_JOB', sentence: /longer than 65536 bytes/ },
      { line: 11, asset_guid: null, code: 'NO_TRACK' },
      { line: 12, asset_guid: 'id-7', code: 'MASTER_OUT_OF_BOUNDS' },
    ],
  )
})

t.test(
  'a manifest is read in steps, and a track is on the list once across them',
  async (t) => {
    const count = 9_000
    const guids = Array.from(
      { length: count },
      (_, nth) => `track-${String(nth).padStart(60, '0')}`,
    )
    const lines = [...guids, ...guids.slice(0, 50)].map((guid) => `{"asset_guid":"${guid}"}\n`)
    const { id, number } = await campaignOf(await manifest('long.ndjson', lines.join('')))
    const done = await enumerated(id)
    t.ok(done.steps >= 2, `${done.steps} steps`)
    t.match(done, { items: count, refused: 50, lookedAt: count + 50, state: 'draft' })
    const [counts] = await database.query(
      {
        text: `select count(*)::int as all, count(distinct asset_guid)::int as tracks, max(place)::int as last
        from campaign_item where campaign = $1`,
      },
      [number],
    )
    t.same(counts, { all: count, tracks: count, last: count })
  },
)

t.test('a step that is cut off leaves nothing behind, and is done again', async (t) => {
  const { id, number } = await campaignOf(await manifest('cut.ndjson', '{"asset_guid":"a"}\n'))
  const cut: typeof database.transaction = async (work) =>
    database.transaction(async (query) => {
      await work(query)
      throw new Error('the process has ended')
    })
  await t.rejects(
    enumerateOnce({ ...deps, database: { ...database, transaction: cut } }),
    /has ended/,
  )
  t.same(await itemsOf(number), [])
  t.match(await enumerated(id), { items: 1, state: 'draft' })
})

t.test('a store that stops answering costs what it has not given', async (t) => {
  const title = 'x'.repeat(150)
  const lines = Array.from(
    { length: 4_000 },
    (_, nth) => `{"asset_guid":"away-${nth}","title":"${title}"}\n`,
  )
  const { id, number } = await campaignOf(await manifest('away.ndjson', lines.join('')))
  let reads = 0
  const away = (uri: string) => {
    const { driver, name } = deps.locate(uri)
    const read: typeof driver.read = async (...args) => {
      if (++reads > 1) throw new Error('no answer')
      return driver.read(...args)
    }
    return { name, driver: { ...driver, stat: driver.stat.bind(driver), read } }
  }
  const failing = new Set<number>()
  await t.rejects(enumerateOnce({ ...deps, locate: away }, failing), /no answer/)
  t.same([...failing], [number], 'others go first')
  t.notOk(await enumerateOnce(deps, failing))
  const { length } = await itemsOf(number)
  t.ok(length > 0 && length < 4_000, `${length} items`)
  t.match(await enumerated(id), { items: 4_000, refused: 0, state: 'draft' })
})

t.test('a CSV has a header, quotes, and faults of its own', async (t) => {
  const text = [
    'asset_guid,title,derivative_assets,asset_id',
    'a,"Two, and a half",bpm;key,',
    'x,"Two',
    'lines",,',
    'b,,,12',
    'c',
    'd,\xff,,',
    '',
    'e,"""E""",,',
  ].join('\n')
  const source = await manifest('list.CSV', Buffer.from(text, 'latin1'))
  const { id, number } = await campaignOf(source)
  t.match(await enumerated(id), { items: 3, refused: 3, lookedAt: 9 })
  t.match(await itemsOf(number), [
    {
      asset_guid: 'a',
      request: { title: 'Two, and a half', derivative_assets: ['bpm', 'key'] },
    },
    { asset_guid: 'b', request: { asset_id: 12 } },
    { asset_guid: 'e', request: { title: '"E"' } },
  ])
  t.match(await refusalsOf(number), [
    { line: 3, asset_guid: 'x', sentence: /title must match pattern/ },
    { line: 6, sentence: /1 cells, and the header 4/ },
    { line: 7, sentence: /not UTF-8/, excerpt: /^d,/ },
  ])
  for (const [text, words] of [
    ['asset_guid,bpm\nx,1\n', /"bpm": no such column/],
    ['asset_guid,title\nx,"never\nclosed\n', /line 2: a quote is opened/],
    [`asset_guid,title\nx,"${'never '.repeat(20_000)}`, /line 2: .*longer than 65536/],
  ] as const) {
    const broken = await campaignOf(await manifest('broken.csv', text))
    t.match(await enumerated(broken.id), {
      ...{ state: 'paused', pausedCode: 'MANIFEST_UNREADABLE', pausedSentence: words },
    })
  }
})

t.test('a long CSV goes on where a step has ended', async (t) => {
  const rows = Array.from({ length: 12_000 }, (_, nth) => `csv-${nth},"Title, ${nth}"\n`)
  const { id } = await campaignOf(
    await manifest('long.csv', `asset_guid,title\n${rows.join('')}`),
  )
  const done = await enumerated(id)
  t.ok(done.steps >= 2, `${done.steps} steps`)
  t.match(done, { items: 12_000, refused: 0, lookedAt: 12_001 })
})

t.test('what is not there, empty, or changes while it is read', async (t) => {
  const missing = await campaignOf({ kind: 'manifest', uri: `${prefix}/none.ndjson` })
  t.match(await enumerated(missing.id), {
    ...{
      state: 'paused',
      pausedCode: 'MANIFEST_UNREADABLE',
      pausedSentence: /there is no .*none/,
    },
  })
  const outside = await campaignOf({ kind: 'manifest', uri: 'file:///etc/passwd' })
  t.match(await enumerated(outside.id), { state: 'paused', pausedCode: 'MANIFEST_UNREADABLE' })
  const empty = await campaignOf(await manifest('empty.ndjson', ''))
  t.match(await enumerated(empty.id), { state: 'draft', items: 0, enumerated: 1 })

  const lines = Array.from({ length: 6_000 }, (_, nth) => `{"asset_guid":"changes-${nth}"}\n`)
  const changing = await campaignOf(await manifest('changes.ndjson', lines.join('')))
  t.ok(await enumerateOnce(deps, new Set(), 0))
  const halfway = await findCampaign(database, changing.id)
  t.match(halfway?.campaign, { state: 'enumerating', items: 2_000 })
  await appendFile(join(folder, 'lists', 'changes.ndjson'), '{"asset_guid":"more"}\n')
  t.match(await enumerated(changing.id), {
    ...{ state: 'paused', pausedCode: 'MANIFEST_CHANGED', items: 2_000 },
  })
})

t.test('too many refused lines pause it, and an operator may go on', async (t) => {
  const lines = Array.from({ length: 6_000 }, (_, nth) =>
    nth < 200 ? 'no JSON\n' : `{"asset_guid":"many-${nth}"}\n`,
  )
  const { id } = await campaignOf(await manifest('refused.ndjson', lines.join('')))
  t.match(await enumerated(id), {
    ...{ state: 'paused', pausedCode: 'TOO_MANY_REFUSED', refused: 200 },
    pausedSentence: /200 of the first 2000 lines/,
  })
  await moveCampaign(database, id, 'resume', { by: 'a person', reason: null })
  t.match(await enumerated(id), {
    state: 'draft',
    items: 5_800,
    refused: 200,
    allowsRefused: true,
  })
})

t.test('a question finds what is stale or lacking, and asks for no more of each', async (t) => {
  const made = (track: string, verdicts: Parameters<typeof ended>[1]) => {
    const run = accepted(Object.keys(verdicts ?? {}), { track })
    const { request } = run
    return {
      ...run,
      request: { ...request, master_uri: `${prefix}/${track}.wav`, title: 'T' },
      verdicts,
    }
  }
  const [bpm = 0, key = 0] = ['bpm', 'key'].map((id) => registry.get(id)?.version)
  const now = (version: number) => ({ state: 'made', version, files: {}, result: {} }) as const
  const runs = [
    made('q-fresh', { bpm: now(bpm), key: now(key) }),
    made('q-old', { bpm: now(bpm - 1), key: now(key) }),
    made('q-keyless', { bpm: now(bpm) }),
    made('q-both', { bpm: now(bpm - 1) }),
    made('q-failed', { bpm: failed('no', bpm), key: now(key) }),
  ]
  await acceptJobs(database, runs)
  await recordDue(
    database,
    runs.map((run) => ended(run, run.verdicts)),
  )
  const q = { filter: { q: 'q-' } }
  const asks = async (
    question: Omit<Extract<CampaignSource, { kind: 'question' }>, 'kind'>,
    assets: string[],
  ) => {
    const { id, number } = await campaignOf({ kind: 'question', ...question }, { assets })
    t.match(await enumerated(id), { state: 'draft', lookedAt: runs.length, refused: 0 })
    return Object.fromEntries(
      (await itemsOf(number)).map(({ asset_guid, request }) => [asset_guid, request]),
    )
  }
  const at = (track: string) => ({ master_uri: `${prefix}/${track}.wav` })
  t.same(await asks({ stale: ['bpm'], narrows: true, ...q }, ['bpm']), {
    'q-both': at('q-both'),
    'q-old': at('q-old'),
  })
  t.same(await asks({ stale: ['bpm'], lacks: ['key'], narrows: true }, ['bpm', 'key']), {
    'q-both': at('q-both'),
    'q-keyless': { ...at('q-keyless'), derivative_assets: ['key'] },
    'q-old': { ...at('q-old'), derivative_assets: ['bpm'] },
  })
  t.same(await asks({ filter: { state: 'partial' } }, ['bpm']), { 'q-failed': at('q-failed') })
  t.same(await asks({ filter: { state: 'cancelled' } }, ['bpm']), {})
})

t.test('when it will be done follows from the pace of late, with a range', async (t) => {
  const { id, number } = await campaignOf({ kind: 'manifest', uri: `${prefix}/x` })
  const etaAfter = async (counts: readonly number[], left: number) => {
    await database.query({ text: 'delete from campaign_pace where campaign = $1' }, [number])
    const ended = counts.reduce((sum, each) => sum + each, 0)
    await database.query(
      {
        text: `
          with moved as (
            update campaign set state = 'running', resumed_at = now() - interval '1 hour', items = $2, released = $2
            where number = $1
          ), counted as (
            insert into kept_count (kind, value, shard, count) values ('campaign', $1 || ' done', 0, $3)
            on conflict (kind, value, shard) do update set count = excluded.count
          )
          insert into campaign_pace (campaign, at, shard, ended)
          select $1, to_timestamp(floor(extract(epoch from now()) / 10) * 10) - nth * interval '10 seconds', 0, count
          from unnest($4::int[]) with ordinality each (count, nth) where count > 0`,
      },
      [number, ended + left, ended, counts],
    )
    const eta = (await findCampaign(database, id))?.eta
    const seconds = (at: Date | null | undefined) =>
      at ? (at.getTime() - Date.now()) / 1000 : undefined
    return { at: seconds(eta?.at), from: seconds(eta?.from), to: seconds(eta?.to) }
  }
  const steady = await etaAfter(new Array(60).fill(10), 2400)
  t.ok(Math.abs((steady.at ?? 0) - 2400) < 0.05 * 2400, `${steady.at} s of 2400`)
  t.ok((steady.from ?? 0) < 2400 && 2400 < (steady.to ?? 0))
  t.ok((steady.to ?? 0) - (steady.from ?? 0) < 0.3 * 2400, 'as narrow as chance allows')
  const bursts = await etaAfter(
    Array.from({ length: 60 }, (_, nth) => (nth % 10 === 0 ? 100 : 0)),
    2400,
  )
  t.ok((bursts.at ?? 0) > 0)
  t.match(await etaAfter([3, 3], 100), { at: undefined }, 'too few to tell')
  t.match(await etaAfter(new Array(60).fill(10), 0), { at: undefined })
})

t.test('windows are shared by the weights of tenants, and within them by their own', (t) => {
  const running = (number: number, tenant: string, over = {}) => ({
    campaign: { number, tenant, weight: 1, items: 10, released: 0, ...over } as never,
    open: 0,
    withdrawn: 0,
  })
  const windows = (all: Parameters<typeof windowsOf>[0], completed = 3000, heavy = 1) =>
    Object.fromEntries(windowsOf(all, completed, (tenant) => (tenant === 'a' ? heavy : 1)))
  t.same(windows([running(1, 'a')]), { 1: 3000 })
  t.same(windows([running(1, 'a')], 5), { 1: 200 })
  t.same(windows([running(1, 'a')], 1e6), { 1: 20_000 })
  t.same(windows([running(1, 'a'), running(2, 'b')], 3000, 3), { 1: 2250, 2: 750 })
  t.same(windows([running(1, 'a'), running(2, 'a', { weight: 2 }), running(3, 'b')]), {
    ...{ 1: 500, 2: 1000, 3: 1500 },
  })
  t.same(windows([running(1, 'a', { released: 10 }), running(2, 'b')]), { 2: 3000 })
  t.end()
})

t.test('a rate lets through what it says, however late a pass comes', (t) => {
  const start = new Date('2026-03-01T10:00:00Z')
  let [paced, released]: [Date | null, number] = [null, 0]
  for (const second of [0, 1, 2, 2.5, 4, 9, 10]) {
    const now = new Date(start.getTime() + 1000 * second)
    const pace = allowanceOf(120, paced, now)
    released += pace.allowed
    paced = pace.usedUpTo(pace.allowed)
  }
  t.equal(released, 21)
  t.equal(
    allowanceOf(120, paced, new Date(start.getTime() + 3600_000)).allowed,
    10,
    'not an hour of it',
  )
  t.equal(allowanceOf(1, new Date(start.getTime() - 59_000), start).allowed, 0)
  t.equal(allowanceOf(1, new Date(start.getTime() - 60_000), start).allowed, 1)
  t.equal(allowanceOf(null, null, start).allowed, Number.POSITIVE_INFINITY)
  t.end()
})
