import { type ChildProcess, fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { type Config, configEnv } from '#shared/config.ts'
import { jobId } from '#shared/names.ts'
import { ONE_MACHINE, topology } from '#shared/topology.ts'
import { startPubsubServer } from '../../services/local/pubsub/server.ts'
import { testPostgres } from '../support/postgres.ts'
import { aJob, post, told, until } from './api.ts'

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

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function start(more: Partial<Config> = {}) {
  const at = (name: string) => pathToFileURL(join(folder, name)).href
  const port = await freePort()
  const config = {
    ...{
      project: 'test',
      pubsub: `127.0.0.1:${pubsub.port}`,
      database: await postgres.database(),
    },
    ...{ assets: at('assets'), scratch: at('scratch'), uploads: at('uploads'), port },
    ...more,
  }
  const child = fork(new URL('../../services/ingest/main.ts', import.meta.url), {
    env: { PATH: process.env.PATH, METADATA_SERVER_DETECTION: 'none', ...configEnv(config) },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    execArgv: [],
  })
  children.push(child)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      said += chunk
    })
  }
  const exited = once(child, 'exit').then(([code]) => code as number)
  const ready = Promise.race([
    once(child, 'message'),
    exited.then((code) => Promise.reject(new Error(`ended with ${code}: ${said}`))),
  ])
  ready.catch(() => {})
  return { child, url: `http://127.0.0.1:${port}`, ready, exited, said: () => said }
}

t.test('the service takes jobs by HTTP and from the ingest topic alike', async (t) => {
  const { child, url, ready, exited } = await start()
  await ready
  const stage: Record<string, unknown>[] = []
  const subscriber = bus.subscribe(
    'stage',
    { concurrency: 10, longestMs: 1000, onError: () => {} },
    async ({ data }) => {
      stage.push(JSON.parse(data.toString()))
      return 'ack'
    },
  )
  const job = aJob()
  t.equal((await post(`${url}/v1/jobs`, job)).status, 202)
  await bus.publish('ingest', { data: Buffer.from(JSON.stringify(job)), attributes: {} })
  await until('both messages', () => stage.length === 2)
  const [posted, published] = stage.map(({ accepted: _, ...rest }) => rest)
  t.strictSame(posted, published)
  t.equal(posted?.job, jobId(job.request_id as string, 'track-1'))
  const found = await until('the row', async () => {
    // Nobody records events here: a row that the database was too slow for comes with the next post.
    await post(`${url}/v1/jobs`, job)
    const answer = await told(fetch(`${url}/v1/jobs/${job.request_id}`))
    return answer.jobs
  })
  t.equal(found.length, 1)
  t.match(await (await fetch(`${url}/readyz`)).json(), { accepting: true, reading: true })
  await subscriber.close()
  child.kill('SIGTERM')
  t.equal(await exited, 0)
})

t.test('asked to go, it answers what is under way and then ends', async (t) => {
  const { child, url, ready, exited } = await start()
  await ready
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

t.test('it does not start as an API that anybody could use', async (t) => {
  const open = await start({ host: '0.0.0.0' })
  t.equal(await open.exited, 1)
  t.match(open.said(), /TRACKCHAIN_TOKENS is empty: anybody could use the API/)
  const tokens = [createHash('sha256').update('secret').digest('hex')]
  const guarded = await start({ host: '0.0.0.0', tokens })
  await guarded.ready
  t.equal((await post(`${guarded.url}/v1/jobs`, aJob())).status, 401)
  const headers = { authorization: 'Bearer secret' }
  t.equal((await post(`${guarded.url}/v1/jobs`, aJob(), headers)).status, 202)
  guarded.child.kill('SIGTERM')
  t.equal(await guarded.exited, 0)
})

t.test('it takes jobs while the database is away', async (t) => {
  const { child, url, ready, exited } = await start({
    database: 'postgresql://nobody@127.0.0.1:9/none',
  })
  await ready
  t.equal((await post(`${url}/v1/jobs`, aJob())).status, 202)
  t.match(await (await fetch(`${url}/readyz`)).json(), { accepting: true, reading: false })
  child.kill('SIGTERM')
  t.equal(await exited, 0)
})
