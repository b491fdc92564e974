import type { ChildProcess } from 'node:child_process'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { jobId } from '#shared/contracts/names.ts'
import { ONE_MACHINE, topology } from '#shared/contracts/topology.ts'
import type { Config } from '#shared/frame/settings.ts'
import { anyPort } from '../../../tools/local/port.ts'
import { testPostgres } from '../../../tools/local/postgres/temporary.ts'
import { startPubsubServer } from '../../../tools/local/pubsub/server.ts'
import { patient } from '../../support/patience.ts'
import { startService } from '../../support/processes/service.ts'
import { aJob, bodyOf, post, raw, sha256, until } from './api.ts'

const folder = await mkdtemp(join(tmpdir(), 'trackchain-test-'))
const postgres = await testPostgres()
const pubsub = await startPubsubServer({ port: 0, file: join(folder, 'queue.db') })
const bus = pubsubBus({ projectId: 'test', endpoint: `127.0.0.1:${pubsub.port}` })
await bus.ensure(topology(['cloud'], ONE_MACHINE))
const children: ChildProcess[] = []
t.teardown(async () => {
  for (const child of children) if (child.exitCode === null) child.kill('SIGKILL')
  await bus.close()
  await pubsub.close()
  await postgres.stop()
  await rm(folder, { recursive: true, force: true })
})

async function start(more: Partial<Config> = {}) {
  const at = (name: string) => pathToFileURL(join(folder, name)).href
  const port = await anyPort()
  const database = more.database ?? (await postgres.database())
  const service = startService('ingest/main.ts', {
    ...{ project: 'test', pubsub: `127.0.0.1:${pubsub.port}` },
    database,
    ...{
      assets: at('assets'),
      scratch: at('scratch'),
      uploads: at('uploads'),
      port,
      drain_seconds: 0,
    },
    ...more,
  })
  children.push(service.child)
  return { ...service, database, url: `http://127.0.0.1:${port}` }
}

/** The first tests share a process; the last of them ends it. */
const shared = await start()
await shared.ready

t.test(
  'eight slow reads hold no more connections than those of reads, and delay no job',
  async (t) => {
    const { url, database } = shared
    const sql = postgres.open(database)
    const posts = async () => {
      const times: number[] = []
      for (let index = 0; index < 30; index++) {
        const began = performance.now()
        t.equal((await post(`${url}/v1/jobs`, aJob())).status, 202)
        times.push(performance.now() - began)
      }
      return times.toSorted((a, b) => a - b)[15] ?? 0
    }
    await posts()
    const before = await posts()
    const reads = await sql.transaction(async (query) => {
      await query({ text: 'lock table event in access exclusive mode' })
      const asked = Array.from({ length: 8 }, () => fetch(`${url}/v1/kpis`).then(bodyless))
      await until(
        'all connections of reads',
        async () => (await connections())['ingest-reads'] === 4,
      )
      const during = await posts()
      t.ok(during < 4 * before + patient(20), `${during} ms, before ${before} ms`)
      const { ingest = 0, ...rest } = await connections()
      t.same(rest, { 'ingest-reads': 4 })
      t.ok(ingest <= 4, `${ingest}`)
      return asked
    })
    for (const read of reads) t.ok([200, 503].includes(await read))

    async function connections(): Promise<Record<string, number>> {
      const text = `select application_name as name, count(*)::int as count from pg_stat_activity
      where datname = current_database() and application_name like 'ingest%' group by 1`
      const found = await sql.query<{ name: string; count: number }>({ text })
      return Object.fromEntries(found.map(({ name, count }) => [name, count]))
    }
  },
)

t.test('the service takes jobs by HTTP and from the ingest topic alike', async (t) => {
  const { url } = shared
  const job = aJob()
  const stage: Record<string, unknown>[] = []
  const subscriber = bus.subscribe(
    'stage',
    { concurrency: 10, longestMs: 1000, onError: () => {} },
    async ({ data }) => {
      const message = JSON.parse(data.toString())
      // Other tests have posted jobs as well.
      if (message.request.request_id === job.request_id) stage.push(message)
      return 'ack'
    },
  )
  t.equal((await post(`${url}/v1/jobs`, job)).status, 202)
  await bus.publish('ingest', { data: Buffer.from(JSON.stringify(job)), attributes: {} })
  await until('both messages', () => stage.length === 2)
  const [posted, published] = stage.map(({ accepted: _, ...rest }) => rest)
  t.strictSame(posted, published)
  t.equal(posted?.job, jobId(job.request_id as string, 'track-1'))
  const found = await until('the row', async () => {
    // No recorder runs here. If the database was too slow for a row, the next post writes it.
    await post(`${url}/v1/jobs`, job)
    const answer = await bodyOf(fetch(`${url}/v1/jobs/${job.request_id}`))
    return answer.jobs
  })
  t.equal(found.length, 1)
  t.match(await (await fetch(`${url}/readyz`)).json(), { accepting: true, reading: true })
  await subscriber.close()
})

t.test(
  'asked to stop, it is unready first: a load balancer loses no request, and an upload goes on elsewhere',
  async (t) => {
    const leaving = await start({ database: shared.database, drain_seconds: 2 })
    const staying = shared
    await leaving.ready

    const audio = randomBytes(2_000_000)
    const upload = `/v1/masters/long?upload=${randomUUID()}`
    const sending = request(`${leaving.url}${upload}`, {
      method: 'PUT',
      headers: { 'content-length': audio.length },
    })
    const answered = once(sending, 'response').catch(() => undefined)
    sending.write(audio.subarray(0, 1_000_000))

    const balancer = balancing([leaving.url, staying.url])
    await until('some requests', () => balancer.answers.length > 20)
    leaving.child.kill('SIGTERM')
    t.equal(await leaving.exited, 0)
    await balancer.stop()
    t.same(new Set(balancer.answers), new Set([202]))
    await answered

    const head = await fetch(`${staying.url}${upload}`, { method: 'HEAD' })
    const offset = Number(head.headers.get('upload-offset'))
    t.ok(offset > 0, `${offset} bytes have been kept`)
    const rest = await fetch(`${staying.url}${upload}`, {
      method: 'PUT',
      headers: { 'upload-offset': `${offset}`, 'upload-complete': '?1' },
      body: audio.subarray(offset),
    })
    t.equal(rest.status, 201)
    t.equal((await bodyOf(rest)).sha256, sha256(audio))
  },
)

t.test('asked to go, it answers what is under way and then ends', async (t) => {
  const { child, url, exited } = shared
  const sending = request(`${url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
  })
  sending.write(`${JSON.stringify(aJob())}\n`)
  const [response] = await once(sending, 'response')
  const [first] = await once(response, 'data')
  t.match(first.toString(), /"status":202/)
  child.kill('SIGTERM')
  await until('the end of new requests', () =>
    fetch(`${url}/healthz`).then(
      ({ status }) => status === 503 || undefined,
      () => true,
    ),
  )
  sending.end(JSON.stringify(aJob()))
  const [second] = await once(response, 'data')
  t.match(second.toString(), /"line":2,"status":202/)
  t.equal(await exited, 0)
})

t.test('it does not start as an API that everyone could use', async (t) => {
  const open = await start({ host: '0.0.0.0' })
  t.equal(await open.exited, 2)
  t.match(open.said(), /"message":"TRACKCHAIN_HOST is 0\.0\.0\.0, .*everyone could use the API/)
  t.notMatch(open.said(), /guard\.ts/, 'a stack helps nobody')
})

t.test('it does not start with routes to nowhere', async (t) => {
  const cloud = { templates: [], prefixes: ['gs://a/'], core_slowdown: 1 }
  const misled = await start({ routes: { cloud } })
  t.equal(await misled.exited, 2)
  t.match(misled.said(), /"message":"TRACKCHAIN_ROUTES is wrong: .*is no bucket/)
})

t.test(
  'open to others it takes jobs while the database is away, and its log tells no secrets',
  async (t) => {
    const secrets = ['a-token-of-ours', 'somebody-elses', 'a-database-password', 'in-the-query']
    const tokens = [createHash('sha256').update('a-token-of-ours').digest('hex')]
    const { child, url, ready, exited, said } = await start({
      database: 'postgresql://nobody:a-database-password@127.0.0.1:9/none',
      // With tokens it may be open to others.
      ...{ host: '0.0.0.0', tokens, log_level: 'debug' as Config['log_level'] },
    })
    await ready
    const headers = { authorization: 'Bearer a-token-of-ours' }
    t.equal((await post(`${url}/v1/jobs`, aJob())).status, 401)
    t.equal((await post(`${url}/v1/jobs`, aJob(), headers)).status, 202)
    t.match(await (await fetch(`${url}/readyz`)).json(), { accepting: true, reading: false })
    t.equal((await fetch(`${url}/v1/dead-letters`, { headers })).status, 503)
    for (const authorization of ['Bearer somebody-elses', 'Basic c29tZWJvZHktZWxzZXM='])
      t.equal((await post(`${url}/v1/jobs`, aJob(), { authorization })).status, 401)
    t.equal((await fetch(`${url}/v1/tracks/a?access_token=in-the-query`)).status, 401)
    await raw(
      Number(new URL(url).port),
      'GET / HTTP/1.1\r\nauthorization: Bearer somebody-elses\r\n\0',
    )
    child.kill('SIGTERM')
    t.equal(await exited, 0)
    t.match(said(), /could not be brought up to date/, 'the log says what it should')
    t.match(said(), /"severity":"DEBUG"/, 'in every detail')
    for (const secret of [...secrets, ...tokens, 'c29tZWJvZHktZWxzZXM=']) {
      t.notOk(said().includes(secret), secret)
    }

    const plain = await start({ tokens: ['a-token-of-ours'] })
    t.equal(await plain.exited, 2)
    t.match(plain.said(), /TRACKCHAIN_TOKENS \/0 must match pattern/)
    t.notMatch(plain.said(), /a-token-of-ours/)
  },
)

/** Posts one job after another to a replica that was ready a moment ago. */
function balancing(urls: readonly string[]) {
  const answers: (number | string)[] = []
  let ready: readonly string[] = urls
  let isOver = false
  const look = (url: string) =>
    fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    )
  const looking = (async () => {
    for (; !isOver; await sleep(200)) {
      const found = await Promise.all(urls.map(look))
      ready = urls.filter((_, i) => found[i])
    }
  })()
  const posting = (async () => {
    for (let n = 0; !isOver; n++) {
      const url = ready[n % ready.length]
      answers.push(await post(`${url}/v1/jobs`, aJob()).then(({ status }) => status, String))
      await sleep(10)
    }
  })()
  return {
    answers,
    async stop() {
      isOver = true
      await Promise.all([looking, posting])
    },
  }
}

async function bodyless(answer: Response): Promise<number> {
  await answer.body?.cancel()
  return answer.status
}
