import t from 'tap'
import { openDatabase } from '#shared/catalogue/database.ts'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { markAnnounced, recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { keepLetter } from '#shared/catalogue/letters/keep-letter.ts'
import { listedTrack } from '#shared/catalogue/tracks/list-tracks.ts'
import type { Costs } from '#shared/contracts/api/costs.ts'
import type { Stale } from '#shared/contracts/api/stale.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import type { Verdict } from '#shared/contracts/messages/run.ts'
import { readLetter, setAsideAs } from '#shared/frame/dead-letter.ts'
import {
  accepted,
  ended,
  event,
  failed,
  made,
  recordDue,
} from '../../shared/catalogue/fixture.ts'
import { startApi, until } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown> & { readonly next?: string | null }
}
type Line = { readonly asset_guid: string }

const runs = ['8A', '8B', '9A', '7A', '9B'].map((camelot, index) => {
  const run = accepted(['bpm', 'key'], { track: `t${index}` })
  const bpm = {
    ...made('x'),
    result: { bpm: 120 + index, confidence: index === 3 ? 0.37 : 0.9, bpmError: 0.05 },
  } as Verdict
  const key = {
    ...made('x'),
    result: { key: `key of ${camelot}`, camelot, confidence: [0.9, 0.7, 0.14, 0.5][index] },
  } as Verdict
  return { run, end: ended(run, { bpm, key: index === 4 ? failed() : key }) }
})
await recordRuns(
  api.database,
  runs.map(({ end }) => end),
)

t.test('a list is read page by page, filters and all', async (t) => {
  const guids: string[] = []
  let path: string | null = '/v1/tracks?limit=2&bpm_from=120'
  while (path !== null) {
    const { status, headers, body } = await get(path)
    t.equal(status, 200, path)
    t.equal(headers.get('cache-control'), 'no-store')
    guids.push(...(body.tracks as Line[]).map(({ asset_guid }) => asset_guid))
    path = body.next ?? null
  }
  t.same(guids.toSorted(), ['t0', 't1', 't2', 't3', 't4'])
  const { body } = await get('/v1/tracks?q=t0')
  t.match(body.tracks, [
    {
      ...{ asset_guid: 't0', state: 'done', seconds: 10, bpm: 120, bpm_confidence: 0.9 },
      ...{
        bpm_error: 0.05,
        key: 'key of 8A',
        key_confidence: 0.9,
        camelot: '8A',
        updated: String,
      },
      assets: { made: ['bpm', 'key'], failed: [], pending: [] },
      request_id: runs[0]?.run.request.request_id,
    },
  ])
})

t.test('a key is understood in any notation, with its harmonic neighbours', async (t) => {
  for (const key of ['8A', '8a', 'Am', 'A minor', 'a min', '1m', '1M']) {
    t.same(await guids(`key=${encodeURIComponent(key)}`), ['t0'], key)
  }
  for (const key of ['8B', 'C', 'C major', '1d']) t.same(await guids(`key=${key}`), ['t1'])
  t.same(await guids('key=Am&harmonic=1'), ['t0', 't1', 't3'], 'a guess is not recommended')
  t.same(await guids('key=Am&harmonic=1&confidence_from=0'), ['t0', 't1', 't2', 't3'])
  t.same(await guids('key=8B&harmonic=1'), ['t0', 't1'])
  t.same(await guids('key=Am&harmonic=0'), ['t0'])
})

t.test('how sure it must be is asked of what is looked for', async (t) => {
  for (const [query, found] of [
    ['key=9A', ['t2']],
    ['key=9A&confidence_from=0.15', []],
    ['key=Am&harmonic=1&confidence_from=0.6', ['t0', 't1']],
    ['bpm_from=120', ['t0', 't1', 't2', 't3', 't4']],
    ['bpm_from=120&confidence_from=0.5', ['t0', 't1', 't2', 't4']],
    // The tempo of t3 is uncertain, so it is left out.
    ['bpm_from=120&key=Am&harmonic=1', ['t0', 't1']],
    ['confidence_from=0.5', ['t0', 't1']],
    ['confidence_from=1', []],
    ['confidence_from=0', ['t0', 't1', 't2', 't3', 't4']],
  ] as const) {
    t.same(await guids(query), found, query)
  }
  const { body } = await get('/v1/tracks?limit=1&confidence_from=0.5')
  t.match(body.next, /confidence_from=0\.5/, 'the next page asks the same')
  for (const wrong of ['1.1', '-1', '50%', '', 'NaN', '1e-1']) {
    const { status, body } = await get(
      `/v1/tracks?confidence_from=${encodeURIComponent(wrong)}`,
    )
    t.match([status, `${body.at} ${body.detail}`], [400, /confidence_from/], wrong)
  }
})

t.test('what is asked wrongly is refused, and said where', async (t) => {
  for (const [query, at] of [
    ['bpm_from=fast', 'bpm_from'],
    ['bpm_from=-1', 'bpm_from'],
    ['bpm_from=130&bpm_to=120', 'bpm_from'],
    ['seconds_from=2&seconds_to=1', 'seconds_from'],
    ['key=H', 'key'],
    ['key=13A', 'key'],
    ['harmonic=1', 'harmonic'],
    ['state=accepted', 'state'],
    ['asset=../x', 'asset'],
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['page=2', 'page'],
    ['page=1,1,x', 'page'],
    ['colour=red', 'colour'],
    [`q=${'x'.repeat(201)}`, 'q'],
  ] as const) {
    const { status, headers, body } = await get(`/v1/tracks?${query}`)
    t.equal(status, 400, query)
    t.match(headers.get('content-type'), /problem\+json/)
    t.match(`${body.at} ${body.detail}`, at, query)
  }
  for (const query of ['from=x', 'from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', 'a=b']) {
    t.equal((await get(`/v1/kpis?${query}`)).status, 400, query)
  }
  const long = '/v1/kpis?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:01Z'
  t.match((await get(long)).body, { code: 'BAD_REQUEST', detail: /31 days/ })
  const headers = { 'last-event-id': 'x' }
  t.equal((await fetch(`${api.url}/v1/live`, { headers })).status, 400)
})

t.test('a track says how its latest job stands, and whether it is news', async (t) => {
  const first = await get('/v1/tracks/t4')
  const { request_id } = runs[4]?.run.request ?? {}
  t.match(first.body, { state: 'partial', request_id, history: '/v1/tracks/t4/history' })
  const etag = first.headers.get('etag') ?? ''
  t.match(etag, /^"\S{20,}"$/)
  const again = await get('/v1/tracks/t4', { 'if-none-match': etag })
  t.equal(again.status, 304)
  await acceptJobs(api.database, [accepted(['loudness'], { track: 't4', accepted: later() })])
  const changed = await get('/v1/tracks/t4', { 'if-none-match': etag })
  t.match([changed.status, changed.body.state], [200, 'running'])
})

t.test('a request says how much of it is there', async (t) => {
  const run = accepted(['bpm', 'key', 'aac-128', 'waveform'])
  const { request_id } = run.request
  const status = async () => (await get(`/v1/jobs/${request_id}`)).body
  await acceptJobs(api.database, [run])
  t.match(await status(), { percent: 0, state: 'accepted', jobs: [{ percent: 0 }] })
  const [bpm, key] = ['bpm@3 0-88200', 'key@3 0-88200']
  const parts = ['aac-128@1 0-44100', 'aac-128@1 44100-88200']
  await recordEvents(api.database, [
    event(run, { step: 'stage', units: [bpm, key, ...parts] }),
    event(run, { step: 'analyze', units: [bpm, key] }),
    // A step that is given back reports the units that it has finished.
    event(run, { step: 'encode', units: [parts[0] ?? ''], verdict: 'retry' }),
  ])
  // The waveform existed before, so it is in no plan.
  t.match(await status(), {
    ...{ percent: 87, state: 'running' },
    jobs: [
      {
        percent: 87,
        assets: [
          { asset: 'aac-128', state: 'pending', units: 2, units_done: 1 },
          { asset: 'bpm', state: 'pending', units: 1, units_done: 1 },
          { asset: 'key', state: 'pending', units: 1, units_done: 1 },
          { asset: 'waveform', state: 'pending' },
        ],
      },
    ],
  })
  await recordRuns(api.database, [ended(run, { key: failed() })])
  t.match(await status(), { percent: 100, state: 'partial' })
  const another = accepted(['bpm'], { requestId: request_id })
  await acceptJobs(api.database, [another])
  t.match(await status(), { percent: 50, state: 'running' })
})

t.test('key figures are the counts of the rows', async (t) => {
  const window = 'from=2026-03-01T09:00:00Z&to=2026-03-01T11:00:00Z'
  const run = accepted(['bpm'])
  await recordEvents(api.database, [
    ...[100, 200, 11_000, 14_000].map((ms) => event(run, { step: 'encode', ms, cpu_ms: 50 })),
    ...['retry', 'swept', 'collected'].map((verdict) =>
      event(run, { step: 'elsewhere', verdict }),
    ),
    event(run, { at: '2026-03-01T11:00:00.000Z' }),
  ])
  const delivery = { id: '7', data: Buffer.from('no'), attributes: {}, attempt: 1 }
  const published = new Date('2026-03-01T10:00:00Z')
  const letter = setAsideAs(
    { ...delivery, published },
    'encode',
    new PermanentError('NOT_JSON', 'no'),
  )
  await keepLetter(api.database, readLetter({ ...delivery, ...letter, published }))
  const { body } = await get(`/v1/kpis?${window}`)
  t.match(body, {
    ...{ seconds: 7200, collected: 1, requeued: 2, swept: 1, dead_lettered: 1 },
    ...{ completions: 0, success_rate: null, core_seconds: 0.2 },
  })
  t.match(
    (body.steps as { step: string }[]).find(({ step }) => step === 'encode'),
    {
      ...{ p50_ms: Number, longest_ms: 14_000, over_budget: 2, over_hard_limit: 1 },
    },
  )

  const announcements = await recordDue(api.database, [ended(accepted(['bpm']))])
  await markAnnounced(api.database, announcements)
  // Its master could not be read, so there is no row, but it has failed.
  const unread = ended(accepted(['bpm', 'key']), { bpm: failed(), key: failed() }, null)
  await markAnnounced(api.database, await recordDue(api.database, [unread]))
  const now = (await get('/v1/kpis')).body
  const database = openDatabase({ dsn: api.dsn, poolSize: 1 })
  t.teardown(() => database.close())
  const [rows] = await database.query<{ made: number; failed: number }>({
    text: `select count(*) filter (where state = 'made') as made,
      count(*) filter (where state = 'failed') as failed from asset`,
  })
  const { made: good = 0, failed: bad = 0 } = rows ?? {}
  t.ok(good > 10 && bad === 2)
  t.match(now, {
    completions: good,
    assets_made: good,
    assets_failed: bad + 2,
    tracks_completed: 2,
  })
  t.equal(now.success_rate, Math.round((good / (good + bad + 2)) * 10_000) / 10_000)
})

t.test('the board counts tracks by state, and by the step that they are due at', async (t) => {
  const due = accepted(['bpm', 'aac-128'])
  const [bpm, aac] = ['bpm@3 0-1', 'aac-128@1 0-1']
  const before = (await get('/v1/board')).body as unknown as Board
  await acceptJobs(api.database, [due])
  await recordEvents(api.database, [
    event(due, { step: 'stage', units: [bpm, aac] }),
    event(due, { step: 'analyze', units: [bpm], at: new Date().toISOString() }),
  ])
  const after = await until('a board that is news', async () => {
    const { body } = await get('/v1/board')
    return body.at === before.at ? undefined : (body as unknown as Board)
  })
  t.equal(after.tracks.running, before.tracks.running + 1)
  const waiting = ({ steps }: Board) =>
    steps.find(({ step }) => step === 'encode')?.waiting ?? 0
  t.equal(waiting(after), waiting(before) + 1)
  t.match(after.steps[2], { step: 'analyze', done_per_minute: 1 })
  t.equal(after.minutes.length, 60)
  t.match(after, { accepting: true, dead_letters_open: 1 })
})

t.test('what is stale is counted, and listed', async (t) => {
  const { body } = await get('/v1/stale')
  const assets = body.assets as Stale['assets']
  t.same(
    assets.map(({ asset }) => asset),
    assets.map(({ asset }) => asset).toSorted(),
  )
  const bpm = assets.find(({ asset }) => asset === 'bpm')
  t.match(bpm, { title: String, current: 0, older: [{ version: 1 }] })
  t.equal(bpm?.stale, (await guids('stale=bpm&limit=1000')).length)
  t.equal(bpm?.missing, (await guids('lacks=bpm&limit=1000')).length)
  t.ok(bpm && bpm.stale > 0 && bpm.missing > 0)
  t.match((await get('/v1/tracks?stale=nothing')).body, { at: '/stale', detail: /known are/ })
})

t.test(
  'costs are those of the events; a step of several assets is divided among them',
  async (t) => {
    const run = accepted(['bpm', 'key'])
    await acceptJobs(api.database, [{ ...run, request: { ...run.request, tenant: 'label' } }])
    const figures = {
      ms: 9000,
      cpu_ms: 7200,
      bytes_read: 3,
      bytes_from_cloud: 3,
      store_operations: 3,
    }
    await recordEvents(api.database, [
      event(run, {
        at: '2026-02-03T23:59:59.999Z',
        step: 'analyze',
        units: ['bpm@3 0-9'],
        ...figures,
      }),
      event(run, {
        at: '2026-02-04T00:00:00.000Z',
        step: 'analyze',
        units: ['bpm@3 0-9', 'key@1 0-9'],
        ...figures,
      }),
      event(run, { at: '2026-02-05T00:00:00.000Z', step: 'stage', units: [], ...figures }),
    ])
    const of = async (query: string) =>
      (await get(`/v1/costs?${query}`)).body as unknown as Costs
    const tenants = await of('by=tenant&from=2026-02-03&to=2026-02-05')
    const [label] = tenants.costs
    t.match(label, {
      name: 'label',
      steps: 3,
      seconds: 27,
      core_seconds: 21.6,
      store_operations: 9,
    })
    t.equal(label?.compute_usd, Math.round((21.6 / 0.7 / 3600) * 0.0134 * 1e4) / 1e4)
    const { name: _, ...whole } = label ?? { name: '' }
    t.same(tenants.sum, whole)
    const day = await of('by=asset&from=2026-02-04&to=2026-02-04')
    t.same(day.costs.map(({ name }) => name).sort(), ['bpm', 'key'])
    const sum = (costs: Costs['costs']) =>
      costs.reduce((all, each) => all + each.core_seconds, 0)
    t.ok(Math.abs(sum(day.costs) - 7.2) < 0.001)
    for (const { core_seconds } of day.costs) t.ok(core_seconds > 0.5 && core_seconds < 6.7)
    const all = await of('by=asset&from=2026-02-03&to=2026-02-05')
    t.ok(
      all.costs.some(({ name }) => name === null),
      'what is of no asset',
    )
    t.ok(Math.abs(sum(all.costs) - 21.6) < 0.001)
    t.match((await of('by=route&to=2026-02-05')).from, '2026-01-07')
    t.match(await of('by=campaign&from=2030-01-01&to=2030-01-01'), {
      costs: [],
      sum: { steps: 0 },
    })
    for (const [query, at] of [
      ['by=nobody', '/by'],
      ['by=tenant&from=2026-02-05&to=2026-02-04', '/from'],
      ['by=tenant&from=2025-02-03&to=2026-02-04', '/from'],
      ['by=tenant&from=yesterday', '/from'],
    ])
      t.match((await get(`/v1/costs?${query}`)).body, { status: 400, at })
  },
)

t.test('who watches hears of each change, and of what was missed', async (t) => {
  const listed = await listedTrack(api.database, 't0')
  const headers = { 'last-event-id': String((listed?.updatedUs ?? 0) - 1) }
  const gone = new AbortController()
  const response = await fetch(`${api.url}/v1/live`, { headers, signal: gone.signal })
  t.match(response.headers.get('content-type'), /^text\/event-stream/)
  let heard = ''
  const reading = (async () => {
    for await (const chunk of response.body ?? []) heard += Buffer.from(chunk).toString()
  })().catch(() => {})
  await until('the board', () => /^event: board\ndata: \{/m.test(heard) || undefined)
  await until('what was missed', () => /"asset_guid":"t0"/.test(heard) || undefined)
  await acceptJobs(api.database, [accepted(['bpm'], { track: 'newcomer' })])
  const event = await until('a new track', () =>
    /^event: track\nid: (\d+)\ndata: (\{"asset_guid":"newcomer".*\})$/m.exec(heard),
  )
  t.match(JSON.parse(event?.[2] ?? ''), { state: 'running', assets: { pending: ['bpm'] } })
  t.equal(Number(event?.[1]), (await listedTrack(api.database, 'newcomer'))?.updatedUs)
  gone.abort()
  await reading
})

t.test('a service that closes ends what is watched', async (t) => {
  const { url, close } = await api.replica()
  const response = await fetch(`${url}/v1/live`)
  const text = response.text()
  await close()
  t.match(await text, /^: Trackchain\n/)
})

interface Board {
  readonly at: string
  readonly tracks: { readonly running: number }
  readonly steps: readonly { readonly step: string; readonly waiting: number }[]
  readonly minutes: readonly object[]
}

async function get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(api.url + path, { headers })
  const text = await response.text()
  const body = text === '' ? {} : JSON.parse(text)
  return { status: response.status, headers: response.headers, body }
}

async function guids(query: string): Promise<string[]> {
  const { body } = await get(`/v1/tracks?${query}`)
  return (body.tracks as Line[]).map(({ asset_guid }) => asset_guid).sort()
}

/** A time later than any other acceptance in this file. */
function later(): string {
  return '2026-03-05T10:00:00.000Z'
}
