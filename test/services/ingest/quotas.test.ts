import { randomUUID } from 'node:crypto'
import t from 'tap'
import { loadRegistry } from '#shared/assets/registry.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { cancel, endCancelled } from '#shared/catalogue/jobs/cancel-jobs.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import type { RunAccepted } from '#shared/contracts/messages/run.ts'
import { eventSink } from '#shared/frame/events.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { requestConflicts } from '../../../services/ingest/jobs/conflicts.ts'
import { ingestStep } from '../../../services/ingest/jobs/consume.ts'
import { tenantQuotas } from '../../../services/ingest/jobs/quotas.ts'
import { releaseOnce } from '../../../services/publish/release-waiting.ts'
import { ended } from '../../shared/catalogue/fixture.ts'
import { patient, timeLimit } from '../../support/patience.ts'
import { aJob, bodyOf, post, startApi, until } from './api.ts'

const tenants = { small: { quota: 2 }, other: { quota: 2 }, free: {} }
const api = await startApi({ tenants })
t.teardown(() => api.close())
const { database, bus } = api
const log = createLog('quotas', 'fatal')
const stages = ['stage', 'stage.urgent', 'stage.backfill'].map((topic) => api.received(topic))

const release = (known: Record<string, { quota?: number }> = tenants) =>
  releaseOnce({ database, bus, events: eventSink(bus), tenants: known }, timeLimit(60_000))

const sent = () =>
  stages.flatMap(({ all }) => all.map(({ body }) => body as unknown as RunAccepted))
const sentOf = (request: string) => sent().find((each) => each.request.request_id === request)

/** Posts a job of a tenant. @returns its request and what the answer says of its state */
async function submit(tenant: string, more: Record<string, unknown> = {}) {
  const request_id = randomUUID()
  const job = aJob({ request_id, asset_guid: `track-${request_id}`, tenant, ...more })
  const { status, state } = (await bodyOf(post(`${api.url}/v1/jobs`, job))) as never as {
    status: number
    state: string
  }
  t.equal(status, 202)
  if (state === 'accepted') {
    // Where the database was too slow for its row, the recorder writes it.
    const run = await until('the job', () => sentOf(request_id))
    await acceptJobs(database, [run])
  }
  return { request_id, state }
}

async function stateOf(request: string): Promise<string> {
  const response = await fetch(`${api.url}/v1/jobs/${request}`)
  return ((await response.json()) as { state: string }).state
}

/** Ends a job, once it has been sent and has a row. */
async function end(request: string): Promise<void> {
  const run = await until('the job', () => sentOf(request))
  await recordRuns(database, [ended(run)])
}

t.test('a job above the quota of its tenant waits, and goes when there is room', async (t) => {
  const [first, second, third, fourth] = [
    await submit('small'),
    await submit('small'),
    await submit('small'),
    await submit('small', { lane: 'urgent' }),
  ]
  t.same(
    [first, second, third, fourth].map(({ state }) => state),
    ['accepted', 'accepted', 'queued', 'queued'],
  )
  t.equal((await submit('other')).state, 'accepted', 'each tenant has its own')
  t.equal((await submit('free')).state, 'accepted', 'and some have none')
  const campaign = await submit('small', { lane: 'backfill' })
  t.equal(campaign.state, 'accepted', 'a backfill counts in none')
  t.equal(await stateOf(third.request_id), 'queued')
  t.equal(await release(), 0, 'while there is no room')

  await end(first.request_id)
  t.equal(await release(), 1)
  t.equal(await release(), 0)
  await until('the urgent one', () => sentOf(fourth.request_id))
  t.equal(await stateOf(fourth.request_id), 'accepted', 'the urgent one goes first')
  t.equal(sentOf(third.request_id), undefined)
  const text = 'select from watch join job on job.id = watch.job where request_id = $1'
  const watched = async (request: string) =>
    (await database.query({ text }, [request])).length === 1
  t.ok(await watched(fourth.request_id))
  t.notOk(await watched(third.request_id), 'what waits by intent is not watched')

  t.equal((await submit('small')).state, 'queued', 'what comes later waits behind it')
  await end(second.request_id)
  t.equal(await release(), 1)
  await until('the third', () => sentOf(third.request_id))
  t.equal(await release({}), 1, 'without a quota nothing waits')
  await end(third.request_id)
  await end(fourth.request_id)
})

t.test('what is cancelled while it waits is not sent', async (t) => {
  const jobs = []
  for (let n = 0; n < 3; n++) jobs.push(await submit('other'))
  const [, , last] = jobs
  const request = last?.request_id ?? ''
  t.equal(last?.state, 'queued')
  const outcome = await cancel(database, { request, job: null }, { by: 'ops', reason: null })
  if (outcome.result !== 'cancelled') throw new Error(outcome.result)
  t.equal((await endCancelled(database, outcome.cancellation)).ended, 1)
  t.equal(await stateOf(request), 'cancelled')
  const waiting = jobs.filter(({ state }) => state === 'queued')
  t.equal(await release({}), waiting.length, 'it is taken off the list')
  t.equal(await stateOf(request), 'cancelled')
  t.equal(sentOf(request), undefined)
})

t.test('a release that is interrupted is repeated, and everything is sent', async (t) => {
  const jobs = []
  for (let n = 0; n < 6; n++) jobs.push(await submit('other'))
  const waiting = jobs.filter(({ state }) => state === 'queued')
  t.ok(waiting.length > 1)
  let left = 1
  const dying = {
    ...bus,
    publish: async (...args: Parameters<typeof bus.publish>) => {
      if (left-- <= 0) throw new Error('it dies here')
      return bus.publish(...args)
    },
  }
  const events = eventSink(bus)
  const signal = timeLimit(60_000)
  await t.rejects(releaseOnce({ database, bus: dying, events, tenants: {} }, signal), /dies/)
  for (const { request_id } of waiting) t.equal(await stateOf(request_id), 'queued')
  t.equal(await release({}), waiting.length)
  for (const { request_id } of waiting) await until('each', () => sentOf(request_id))
})

t.test('a message on the topic waits as well; what comes again does not', async (t) => {
  const routes = { cloud: { templates: [], prefixes: [], core_slowdown: 1 } }
  const settings = { registry: await loadRegistry(), uploads: 'file:///var/uploads', routes }
  const quota = { tiny: { quota: 1 } }
  const step = ingestStep(
    { ...settings, tenants: quota, max_message_kib: 64 },
    async () => {},
    requestConflicts(database, log),
    tenantQuotas(database, quota, log, patient(1000)),
  )
  const run = (attributes: Record<string, string>) => {
    const delivery = { id: randomUUID(), attempt: 1, attributes, published: new Date() }
    const job = aJob({ request_id: randomUUID(), tenant: 'tiny' })
    return step.run(job as never, { delivery, signal: timeLimit(60_000) } as never)
  }
  t.match(await run({}), { verdict: 'accepted', sends: [{ topic: 'stage' }] })
  t.same((await run({})).sends, [], 'the first counts although it has no row yet')
  const again = { run: '2', accepted: new Date(Date.now() - 1000).toISOString() }
  t.match(await run(again), { verdict: 'accepted', sends: [{ topic: 'stage' }] })
  await release({})
})

t.test('while the database is away every job goes straight through', async (t) => {
  const away = await api.replica({ tenants, dsn: 'postgresql://127.0.0.1:1/none' })
  for (let n = 0; n < 3; n++) {
    const job = aJob({ tenant: 'small' })
    t.match(await bodyOf(post(`${away.url}/v1/jobs`, job)), { status: 202, state: 'accepted' })
  }
})
