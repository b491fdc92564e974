import t, { type Test } from 'tap'
import { openDatabase } from '#shared/catalogue/database.ts'
import { addEventDays, dropEventDays } from '#shared/catalogue/events/forget.ts'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { readCosts } from '#shared/catalogue/figures/costs.ts'
import { type Kpis, readKpis } from '#shared/catalogue/figures/kpis.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import type { CostKey } from '#shared/contracts/api/costs.ts'
import { accepted, catalogues, ended, event } from './fixture.ts'

const fresh = await catalogues(t)

t.test('figures of a long time are those of its parts, percentiles to a tenth', async (t) => {
  await t.test('hours', (t) => figuresEvery(t, 7))
  await t.test('days', (t) => figuresEvery(t, 97))
  await t.test('minutes', (t) => figuresEvery(t, 1.3, Date.now() - 90 * 60_000))
})

t.test('figures of the last hours need no event of a whole minute', async (t) => {
  const { database } = await fresh()
  const run = accepted(['bpm'])
  const start = Math.floor(Date.now() / 60_000 - 70) * 60_000
  const events = Array.from({ length: 130 }, (_, index) =>
    event(run, { at: new Date(start + index * 30_000).toISOString(), ms: 100 + index }),
  )
  await recordEvents(database, events)
  await database.query({ text: 'delete from event' })
  const read = (from: number, to: number) =>
    readKpis(database, new Date(start + from * 60_000), new Date(start + to * 60_000))
  t.equal((await read(0, 65)).events, 130)
  t.equal((await read(1, 15)).events, 28)
  t.equal((await read(1.5, 15.5)).events, 26, 'but those of half a minute')
  t.ok(Math.abs(((await read(0, 65)).steps[0]?.p50Ms ?? 0) / 165 - 1) < 0.1)
})

async function figuresEvery(
  t: Test,
  minutes: number,
  start = Date.parse('2026-03-01T10:03:00Z'),
): Promise<void> {
  const { database } = await fresh()
  const run = accepted(['bpm'])
  const step = minutes * 60_000
  const events = Array.from({ length: 60 }, (_, index) =>
    event(run, {
      at: new Date(start + index * step).toISOString(),
      ...{ step: index % 2 ? 'analyze' : 'encode', ms: 100 + 250 * index, cpu_ms: index },
      verdict: index % 5 ? 'done' : 'retry',
    }),
  )
  await recordEvents(database, events)
  await recordEvents(database, events)
  const read = (from: number, to: number) => readKpis(database, new Date(from), new Date(to))
  const long = await read(start, start + 60 * step)
  const parts: Kpis[] = []
  for (let part = 0; part < 12; part++)
    parts.push(await read(start + part * 5 * step, start + (part + 1) * 5 * step))
  const sum = (of: (kpis: Kpis) => number) => parts.reduce((total, part) => total + of(part), 0)
  t.equal(long.events, 60)
  t.equal(
    long.events,
    sum(({ events }) => events),
  )
  t.equal(long.requeued, 12)
  t.equal(
    long.requeued,
    sum(({ requeued }) => requeued),
  )
  for (const name of ['analyze', 'encode']) {
    const [whole, ...each] = [long, ...parts].map(({ steps }) =>
      steps.find(({ step }) => step === name),
    )
    const mine = events.filter((event) => event.step === name).map(({ ms }) => ms)
    for (const field of ['count', 'sumMs', 'coreMs', 'overBudget', 'overHardLimit'] as const)
      t.equal(
        whole?.[field],
        each.reduce((total, part) => total + (part?.[field] ?? 0), 0),
        field,
      )
    t.equal(whole?.longestMs, Math.max(...mine))
    const exact = mine.toSorted((a, b) => a - b)[Math.ceil(mine.length / 2) - 1] ?? 0
    t.ok(Math.abs((whole?.p50Ms ?? 0) / exact - 1) < 0.1, `${whole?.p50Ms} for ${exact}`)
  }
  // An interval that no bucket fits into as a whole.
  if (minutes === 7) t.equal((await read(start + 1, start + 61 * 60_000)).events, 8)
}

t.test(
  'what steps take is kept by day, tenant, campaign, route and assets, once however often it is recorded',
  async (t) => {
    const { database } = await fresh()
    const labels = accepted(['bpm', 'key'])
    const ofLabel = { ...labels, request: { ...labels.request, tenant: 'label' } }
    await acceptJobs(database, [ofLabel])
    const text = `insert into campaign (id, name, state, source, derivative_assets, by)
      values ('campaign-1', 'all', 'running', '{}', '{bpm}', 'test')`
    await database.query({ text })
    const item = accepted(['bpm'], { requestId: 'campaign-1' })
    await acceptJobs(database, [item])
    const units = ['key@1 0-9', 'bpm@3 0-9', 'bpm@3 9-18']
    const figures = { ms: 20, cpu_ms: 10, bytes_read: 7, store_operations: 2 }
    const events = [
      event(ofLabel, { step: 'analyze', units, ...figures }),
      event(ofLabel, { step: 'analyze', units, ...figures, verdict: 'retry' }),
      event(ofLabel, { step: 'stage', units, ...figures }),
      event(item, { step: 'analyze', units: ['bpm@3'], route: 'onprem-a', ...figures }),
      event(item, { at: '2026-03-02T00:00:00.000Z', step: 'publish', units: [], ms: 1 }),
      // Of a job that is not known.
      event(accepted(['bpm']), { step: 'analyze', units: ['bpm@3'], ...figures }),
    ]
    await recordEvents(database, events)
    await recordEvents(database, events)
    const read = async (by: CostKey, to = '2026-03-02') =>
      (await readCosts(database, by, { from: '2026-03-01', to })).map(
        ({ name, count, ...rest }) => [name, count, rest.core_ms, rest.bytes_read],
      )
    t.same(await read('tenant'), [
      ['default', 3, 20, 14],
      ['label', 3, 30, 21],
    ])
    t.same(await read('campaign'), [
      ['', 4, 40, 28],
      ['campaign-1', 2, 10, 7],
    ])
    t.same(await read('route'), [
      ['cloud', 5, 40, 28],
      ['onprem-a', 1, 10, 7],
    ])
    t.same(await read('asset', '2026-03-01'), [
      ['', 1, 10, 7],
      ['bpm', 2, 20, 14],
      ['bpm,key', 2, 20, 14],
    ])
  },
)

t.test(
  'the events of a day are dropped with it, also those that came before it was made',
  async (t) => {
    const { database } = await fresh()
    const run = accepted(['bpm'], { track: 't' })
    const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString()
    const [old, young] = [40, 20].map((days) => event(run, { at: daysAgo(days) }))
    if (old === undefined || young === undefined) return
    await recordEvents(database, [old])
    for (const { at } of [old, young])
      await database.query({ text: 'select add_event_day($1::date)' }, [at.slice(0, 10)])
    await recordEvents(database, [old, young])
    const history = async () => (await trackHistory(database, 't', { limit: 9 })).events
    t.same(await history(), [young, old])
    t.equal(await dropEventDays(database, 30), 1)
    t.equal(await dropEventDays(database, 30), 0)
    t.same(await history(), [young])
    await Promise.all([addEventDays(database), addEventDays(database)])
    const future = event(run, { at: daysAgo(-2) })
    await recordEvents(database, [future])
    t.same(await history(), [future, young])
    const text = 'select from event_other'
    t.same(await database.query({ text }), [], 'each day has its own')
  },
)

t.test('a database without statistics, as after a restore, is analyzed', async (t) => {
  const { database } = await fresh()
  const known = async () => {
    const text = `select from pg_stats where tablename = 'track_listing'`
    return (await database.query({ text })).length > 0
  }
  await migrate(database)
  t.equal(await known(), false, 'an empty one has none')
  await recordRuns(database, [ended(accepted(['bpm']))])
  await migrate(database)
  t.equal(await known(), true)
})

t.test('the tables of version 0.1 are refused', async (t) => {
  const { database, dsn } = await fresh()
  await database.query({
    text: `update migration set name = 'tracks, jobs, assets and events'`,
  })
  const service = openDatabase({ dsn })
  t.teardown(() => service.close())
  await t.rejects(migrate(service), { message: /version 0\.1/ })
})
