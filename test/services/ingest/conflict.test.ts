import { randomUUID } from 'node:crypto'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { loadRegistry } from '#shared/assets/registry.ts'
import { jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import { requestConflicts } from '../../../services/ingest/jobs/conflicts.ts'
import { ingestStep } from '../../../services/ingest/jobs/consume.ts'
import { submissions } from '../../../services/ingest/jobs/submit-job.ts'
import { interrupted } from '../../shared/catalogue/fixture.ts'
import { timeLimit } from '../../support/patience.ts'
import { type AnyBody, aJob, bodyOf, post, startApi, until } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())
const jobs = `${api.url}/v1/jobs`
const stage = api.received('stage')
const masters = ['a', 'b'].map((name) => `file:///mnt/masters/${name}.wav`)
const [a, b] = masters as [string, string]

t.test('a request that contradicts itself is refused, and nothing is handed on', async (t) => {
  const job = aJob({ master_uri: a, site: 'cloud', release_id: 1, asset_id: 2 })
  t.equal((await post(jobs, job)).status, 202)
  // Only the last name of a place is shown.
  const others: [name: string, value: unknown, said: string][] = [
    ['master_uri', b, `"file:…/${basename(b)}"`],
    ['release_id', 7, '7'],
    ['asset_id', 7, '7'],
  ]
  for (const [name, value, said] of others) {
    const response = await post(jobs, { ...job, [name]: value })
    t.equal(response.status, 409, name)
    const { code, detail, at } = (await response.json()) as Record<string, string>
    t.same({ code, at }, { code: 'REQUEST_CONFLICT', at: `/${name}` })
    t.match(detail, said, 'it says what was, and what is')
  }
  const other = await post(jobs, { ...aJob(), request_id: job.request_id, site: 'onprem-a' })
  t.equal(other.status, 409, 'site')
  const sent = () =>
    stage.all.filter(({ body }) => (body.request as AnyBody).request_id === job.request_id)
  await until('the first job', () => sent()[0])
  t.equal(sent().length, 1)
})

t.test('more assets, a name, and what is left out contradict nothing', async (t) => {
  const job = aJob({ master_uri: a })
  for (const more of [
    {},
    { derivative_assets: ['key'] },
    { title: 'Other' },
    { title: 'Again' },
  ])
    t.equal((await post(jobs, { ...job, ...more })).status, 202)
  const { master_uri: _, ...rest } = job
  t.equal((await post(jobs, rest)).status, 202)
  t.equal((await post(jobs, { ...job, master_uri: b })).status, 409, 'and is still held to it')
  const elsewhere = { ...job, asset_guid: 'another', master_uri: b }
  t.equal((await post(jobs, elsewhere)).status, 202, 'another track of the same request')
})

t.test('two jobs of one body, and of one moment, are compared too', async (t) => {
  const job = aJob({ master_uri: a })
  const { results } = await bodyOf(post(jobs, [job, { ...job, master_uri: b }, job]))
  t.match(results, [
    { status: 202 },
    { status: 409, code: 'REQUEST_CONFLICT' },
    { status: 202 },
  ])
  const line = aJob({ master_uri: a })
  const body = [line, { ...line, master_uri: b }].map((each) => `${JSON.stringify(each)}\n`)
  const answer = await post(jobs, body.join(''), { 'content-type': 'application/x-ndjson' })
  const lines = (await answer.text()).trim().split('\n')
  t.match(
    lines.map((each) => JSON.parse(each)),
    [{ status: 202 }, { status: 409, at: '/master_uri' }],
  )
  const same = aJob()
  const both = await Promise.all(masters.map((uri) => post(jobs, { ...same, master_uri: uri })))
  t.same(both.map(({ status }) => status).sort(), [202, 409])
})

/** On a busy machine the database may be too slow for a row to be written or read at once. */
async function patiently<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  for (let n = 0; n < 50; n++) {
    const found = await ask()
    if (found !== undefined) return found
    await sleep(600)
  }
  throw new Error(`waited in vain for ${what}`)
}

t.test('another replica knows it from the database', async (t) => {
  const job = aJob({ master_uri: a })
  await patiently('the row', async () => {
    t.equal((await post(jobs, job)).status, 202)
    return (await jobsOfRequest(api.database, `${job.request_id}`))[0]
  })
  await patiently('the refusal', async () => {
    const other = await api.replica()
    const { status } = await post(`${other.url}/v1/jobs`, { ...job, master_uri: b })
    return status === 409 || undefined
  })
  const other = await api.replica()
  t.equal((await post(`${other.url}/v1/jobs`, job)).status, 202)
})

t.test('a request may have any name in its address', async (t) => {
  for (const request_id of ['7', 'a/b?c#d %2F', '夜 🎵', `{${randomUUID()}}`]) {
    const job = aJob({ request_id })
    const { request_id: shown } = await patiently('the request', async () => {
      const accepted = await bodyOf(post(jobs, job))
      t.equal(accepted.status, 202)
      const response = await fetch(`${api.url}${accepted.href}`)
      return response.ok ? bodyOf(response) : undefined
    })
    t.equal(shown, request_id.replace(/^\{(.{36})\}$/, '$1'))
  }
})

t.test(
  'while the database is away jobs are taken, and one process keeps its own word',
  async (t) => {
    const away = requestConflicts(
      interrupted(api.database, () => {
        throw new Error('away')
      }),
      createLog('test', 'fatal'),
    )
    const registry = await loadRegistry()
    const settings = {
      registry,
      tenants: {},
      uploads: 'file:///var/uploads',
      routes: { cloud: { templates: [], prefixes: ['file:///mnt/masters'], core_slowdown: 1 } },
    }
    let isDown = false
    const { submit: submitOf } = submissions({
      settings,
      bus: {
        ...api.bus,
        publish: (topic, message) =>
          isDown ? Promise.reject(new Error('down')) : api.bus.publish(topic, message),
      },
      events: { report: async () => {} },
      recordJob: async () => {},
      conflicts: away,
      quotas: { holdBack: async () => false },
      metrics: createMetrics('test'),
    })
    const submit = (value: unknown) => submitOf(value, undefined)
    const job = aJob({ master_uri: a })
    t.match(await submit(job), { status: 202 })
    await t.rejects(submit({ ...job, master_uri: b }), { code: 'REQUEST_CONFLICT' })
    isDown = true
    const lost = aJob({ master_uri: a })
    await t.rejects(submit(lost), { code: 'UPSTREAM_DOWN' })
    isDown = false
    t.match(
      await submit({ ...lost, master_uri: b }),
      { status: 202 },
      'a job that was not taken binds no later one',
    )

    const step = ingestStep({ ...settings, max_message_kib: 64 }, async () => {}, away, {
      holdBack: async () => false,
    })
    const delivery = { id: '1', attempt: 1, attributes: {}, published: new Date() }
    const context = { delivery, signal: timeLimit(60_000) } as never
    await t.rejects(Promise.resolve(step.run({ ...job, master_uri: b } as never, context)), {
      code: 'REQUEST_CONFLICT',
      name: 'PermanentError',
    })
  },
)
