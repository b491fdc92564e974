import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { addRefusals } from '#shared/catalogue/campaigns/enumerate-campaign.ts'
import { atOnce } from '#shared/catalogue/database.ts'
import type { Campaign, CampaignPage, RefusedPage } from '#shared/contracts/api/campaign.ts'
import { post, startApi } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())
const at = `${api.url}/v1/campaigns`
const wish = { name: 'a test', question: { stale: ['bpm'] } }

async function created(over: object = {}): Promise<Campaign> {
  const response = await post(at, { ...wish, ...over })
  t.equal(response.status, 202)
  return (await response.json()) as Campaign
}
const act = (id: string, move: string, body?: unknown) =>
  body === undefined
    ? fetch(`${at}/${id}/${move}`, { method: 'POST' })
    : post(`${at}/${id}/${move}`, body)
const shown = async (id: string) => (await (await fetch(`${at}/${id}`)).json()) as Campaign
const change = (id: string, body: unknown) =>
  fetch(`${at}/${id}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
/** As if publish had read its source. */
const enumerated = (id: string, state = 'draft') =>
  api.database.query(
    { text: `update campaign set state = $2, enumerated_at = now(), items = 7 where id = $1` },
    [...[id, state]],
  )

t.test(
  'a campaign is created by a question, a manifest or the failed items of another',
  async (t) => {
    const asked = await created({ weight: 2.5, rate: 600, start: true })
    t.match(asked, {
      ...{
        id: /^campaign-\w+$/,
        name: 'a test',
        tenant: 'default',
        state: 'enumerating',
        start: true,
      },
      ...{ source: { kind: 'question', stale: ['bpm'] }, derivative_assets: ['bpm'] },
      ...{
        weight: 2.5,
        rate: 600,
        items: 0,
        eta: null,
        paused: null,
        by: 'a user of this machine',
      },
      href: `/v1/campaigns/${asked.id}`,
    })
    t.same(await shown(asked.id), asked)
    const listed = await created({
      question: undefined,
      manifest: 'file:///mnt/masters/list.csv',
    })
    t.match(listed.source, { kind: 'manifest', uri: /list\.csv$/ })
    t.notMatch(JSON.stringify(listed), /mnt/, 'no folder is shown')
    t.ok(listed.derivative_assets.length > 5, 'all there are')
    const again = await created({ question: undefined, failed_of: asked.id })
    t.match(again, {
      source: { kind: 'failed', campaign: asked.id },
      derivative_assets: ['bpm'],
    })

    const first = (await (await fetch(`${at}?limit=2`)).json()) as CampaignPage
    t.same(
      first.campaigns.map(({ id }) => id),
      [again.id, listed.id],
    )
    const second = (await (await fetch(`${api.url}${first.next}`)).json()) as CampaignPage
    t.same([second.campaigns[0]?.id, second.next], [asked.id, null])
  },
)

t.test('posted lines become a manifest', async (t) => {
  for (const [type, body, file] of [
    ['application/x-ndjson', '{"asset_guid":"a"}\n', /\.ndjson$/],
    ['text/csv', 'asset_guid\na\n', /\.csv$/],
  ] as const) {
    const query = 'name=posted&derivative_assets=bpm,key&start=1&rate=60'
    const response = await post(`${at}?${query}`, body, { 'content-type': type })
    t.equal(response.status, 202)
    const campaign = (await response.json()) as Campaign
    t.match(campaign, {
      ...{ name: 'posted', start: true, rate: 60, derivative_assets: ['bpm', 'key'] },
      source: { kind: 'manifest', uri: file },
    })
    const name =
      campaign.source.kind === 'manifest' ? campaign.source.uri.split('/').at(-1) : ''
    t.equal(await readFile(join(api.uploads, '_campaigns', name ?? ''), 'utf8'), body)
  }
})

t.test('it is started, paused, resumed and cancelled, each once', async (t) => {
  const { id } = await created()
  t.match(await (await act(id, 'start')).json(), { state: 'enumerating', start: true })
  const paused = await act(id, 'pause', { reason: 'a look at it' })
  t.equal(paused.status, 202)
  t.match(await paused.json(), {
    ...{
      state: 'paused',
      paused: { code: 'PAUSED', sentence: 'a look at it', remedy: String },
    },
  })
  t.equal((await act(id, 'pause')).status, 202, 'asked twice')
  t.match(await (await act(id, 'resume')).json(), { state: 'enumerating', paused: null })
  await enumerated(id)
  t.match(await (await act(id, 'start')).json(), {
    state: 'running',
    started: String,
    waiting: 7,
  })
  t.match(await (await act(id, 'cancel')).json(), { state: 'cancelled', ended: String })
  t.match(await (await act(id, 'resume')).json(), { state: 'running', ended: null })
  t.match(await (await act(id, 'start')).json(), { state: 'running' }, 'asked twice')
  await enumerated(id, 'done')
  for (const move of ['start', 'pause', 'resume', 'cancel']) {
    const response = await act(id, move)
    t.equal(response.status, 409, move)
    t.match(await response.json(), { code: 'WRONG_STATE', detail: /is done: expected \w+/ })
  }
  const draft = await created()
  await enumerated(draft.id)
  t.match(await (await act(draft.id, 'pause')).json(), {
    code: 'WRONG_STATE',
    detail: /is draft/,
  })
  t.match(await (await act(draft.id, 'resume')).json(), { code: 'WRONG_STATE' })
})

t.test(
  'a forecast is a campaign of a sample, once; a budget is set and taken away',
  async (t) => {
    const early = await created()
    t.match(await (await act(early.id, 'forecast')).json(), {
      code: 'WRONG_STATE',
      status: 409,
    })
    await enumerated(early.id)
    await api.database.query({ text: 'update campaign set enumerated = 1 where id = $1' }, [
      early.id,
    ])
    const asked = await act(early.id, 'forecast')
    t.equal(asked.status, 202)
    const { forecast } = (await asked.json()) as Campaign
    t.match(forecast, { sample: /^campaign-/, result: null })
    const sample = await shown(forecast?.sample ?? '')
    t.match(sample, {
      ...{ source: { kind: 'sample', campaign: early.id }, start: true, state: 'enumerating' },
      ...{ derivative_assets: ['bpm'], name: 'a sample of a test', forecast: null },
    })
    t.same(((await (await act(early.id, 'forecast')).json()) as Campaign).forecast, forecast)
    t.equal((await act(sample.id, 'forecast')).status, 409, 'not of a sample')
    t.equal((await act('campaign-0000000000000', 'forecast')).status, 404)
    t.match(await created({ budget: { usd: 2.5 } }), {
      ...{ budget: { usd: 2.5 }, spent: { core_seconds: 0, usd: 0 } },
    })
    t.match(await (await change(early.id, { budget: { core_seconds: 10 } })).json(), {
      budget: { core_seconds: 10 },
    })
    t.match(await (await change(early.id, { budget: null })).json(), { budget: null })
    await api.database.query({
      text: `insert into cost select '2026-03-01', 'default', '${sample.id}', '', 'encode', '',
      1, 1, 53940, 0, 0, 0, 0, 0`,
    })
    t.match(await shown(early.id), { spent: { core_seconds: 53.94, usd: 0.0003 } })
    for (const budget of [{}, { usd: 0 }, { usd: 1, eur: 1 }, 7])
      t.equal((await change(early.id, { budget })).status, 400, JSON.stringify(budget))
  },
)

t.test('name, weight and rate are changed under way', async (t) => {
  const { id } = await created({ rate: 60 })
  const changed = await change(id, { weight: 3, rate: null, name: 'another' })
  t.match(await changed.json(), { weight: 3, rate: null, name: 'another' })
  t.match(await (await change(id, { rate: 5 })).json(), { weight: 3, rate: 5 })
  t.match(await shown(id), { weight: 3, rate: 5, name: 'another' })
})

t.test('what was refused is listed, page by page', async (t) => {
  const { id } = await created()
  const [found] = await api.database.query<{ number: number }>(
    { text: 'select number from campaign where id = $1' },
    [id],
  )
  const refusal = { asset_guid: null, code: 'NOT_JSON', sentence: 'no', excerpt: '{' }
  await addRefusals(atOnce(api.database), found?.number ?? 0, [
    { ...refusal, line: 3 },
    { ...refusal, line: 5, code: 'TWICE', asset_guid: 'a' },
  ])
  const first = (await (await fetch(`${at}/${id}/refused?limit=1`)).json()) as RefusedPage
  t.match(first.refused, [{ line: 3, code: 'NOT_JSON', detail: 'no', excerpt: '{' }])
  const second = (await (await fetch(`${api.url}${first.next}`)).json()) as RefusedPage
  t.match(second, { refused: [{ line: 5, asset_guid: 'a', remedy: String }], next: null })
})

t.test('every wrong request is refused with a sentence', async (t) => {
  const { id } = await created()
  const nobody = 'campaign-000000000000'
  const posted = (body: unknown) => () => post(at, body)
  const cases: [() => Promise<Response>, number, string, RegExp][] = [
    [posted({ ...wish, question: {} }), 422, 'EMPTY_QUESTION', /names nothing/],
    [posted({ ...wish, question: { filter: {} } }), 422, 'EMPTY_QUESTION', /names nothing/],
    [posted({ ...wish, question: { stale: [] } }), 400, 'BAD_REQUEST', /stale/],
    [
      posted({ ...wish, question: { stale: ['mp4'] } }),
      422,
      'UNKNOWN_DERIVATIVE',
      /"mp4" is not/,
    ],
    [
      posted({ ...wish, derivative_assets: ['mp4'] }),
      422,
      'UNKNOWN_DERIVATIVE',
      /"mp4" is not/,
    ],
    [posted({ ...wish, question: { filter: { bmp: 1 } } }), 400, 'BAD_REQUEST', /"bmp"/],
    [
      posted({ ...wish, question: { filter: { bpm_from: 9, bpm_to: 8 } } }),
      ...([400, 'BAD_REQUEST', /bpm_from is 9/] as const),
    ],
    [posted({ name: 'x' }), 400, 'BAD_REQUEST', /0 sources are given/],
    [posted({ ...wish, failed_of: id }), 400, 'BAD_REQUEST', /2 sources are given/],
    [posted({ name: 'x', failed_of: nobody }), 404, 'NOT_FOUND', /no campaign campaign-0/],
    [posted({ question: { stale: ['bpm'] } }), 400, 'BAD_REQUEST', /name/],
    [posted({ ...wish, weight: 0 }), 400, 'BAD_REQUEST', /weight/],
    [posted({ ...wish, rate: -1 }), 400, 'BAD_REQUEST', /rate/],
    [posted({ ...wish, tenant: 'x' }), 422, 'UNKNOWN_TENANT', /"x" is no tenant here/],
    [posted('{'), 400, 'NOT_JSON', /body/i],
    [
      posted({ name: 'x', manifest: 'file:///etc/passwd' }),
      ...([422, 'MANIFEST_OUT_OF_BOUNDS', /outside/] as const),
    ],
    [posted({ name: 'x', manifest: 'list.csv' }), 422, 'MANIFEST_OUT_OF_BOUNDS', /outside/],
    [() => post(`${at}?name=x`, wish), 400, 'BAD_REQUEST', /stand in the body/],
    [() => post(at, '', { 'content-type': 'text/plain' }), 415, 'WRONG_CONTENT_TYPE', /csv/],
    [
      () => post(`${at}?start=yes`, '', { 'content-type': 'text/csv' }),
      ...([400, 'BAD_REQUEST', /start/] as const),
    ],
    [
      () => post(`${at}?derivative_assets=mp4`, 'x', { 'content-type': 'text/csv' }),
      ...([422, 'UNKNOWN_DERIVATIVE', /mp4/] as const),
    ],
    [() => fetch(`${at}/${nobody}`), 404, 'NOT_FOUND', /no campaign/],
    [() => fetch(`${at}/${nobody}/refused`), 404, 'NOT_FOUND', /no campaign/],
    [() => fetch(`${at}/summer`), 400, 'BAD_REQUEST', /id/],
    [() => fetch(`${at}?page=x`), 400, 'BAD_REQUEST', /page/],
    [() => act(nobody, 'start'), 404, 'NOT_FOUND', /no campaign/],
    [() => act(id, 'pause', { why: 'x' }), 400, 'BAD_REQUEST', /"why"/],
    [() => act(id, 'stop'), 404, 'NOT_FOUND', /./],
    [() => change(id, {}), 400, 'BAD_REQUEST', /./],
    [() => change(id, { state: 'done' }), 400, 'BAD_REQUEST', /"state"/],
    [() => change(nobody, { weight: 2 }), 404, 'NOT_FOUND', /no campaign/],
  ]
  for (const [send, status, code, detail] of cases) {
    const response = await send()
    const problem = (await response.json()) as { detail: string }
    t.equal(response.status, status, problem.detail)
    t.match(problem, { code, detail })
  }
  t.match(await shown(id), { state: 'enumerating', weight: 1 }, 'none of them changes anything')
  const away = await api.replica({ dsn: 'postgresql://127.0.0.1:1/none' })
  const response = await post(`${away.url}/v1/campaigns`, wish)
  t.equal(response.status, 503)
  t.match(await response.json(), { code: 'UPSTREAM_DOWN', detail: /ask again/ })
})
