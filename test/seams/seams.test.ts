import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { openCatalogue } from '#shared/catalogue/catalogue.ts'
import { configEnv } from '#shared/config.ts'
import { EncodeJob } from '#shared/messages/encode-job.ts'
import { Published } from '#shared/messages/published.ts'
import { jobId } from '#shared/names.ts'
import { send } from '#shared/step.ts'
import { topology } from '#shared/topology.ts'
import { startPubsubServer } from '../../services/local/pubsub/server.ts'
import { club, wav } from '../support/audio.ts'
import { testPostgres } from '../support/postgres.ts'

t.setTimeout(300_000)

const folder = t.testdir({ masters: {}, assets: {}, scratch: {}, uploads: {} })
const at = (path: string) => `file://${join(folder, path)}`
const postgres = await testPostgres()
const dsn = await postgres.database()
const server = await startPubsubServer({ port: 0, file: join(folder, 'pubsub.sqlite') })
const bus = pubsubBus({ projectId: 'seams', endpoint: `127.0.0.1:${server.port}` })
await bus.ensure(topology(['cloud'], { minSeconds: 0.1, maxSeconds: 1 }))
const catalogue = openCatalogue({ dsn })
await catalogue.migrate()

const env = configEnv({
  project: 'seams',
  pubsub: `127.0.0.1:${server.port}`,
  database: dsn,
  assets: at('assets'),
  scratch: at('scratch'),
  uploads: at('uploads'),
  // Small steps: three seconds of audio are fanned out into parts.
  target_ms: 200,
  derivatives: new URL('../support/derivatives', import.meta.url).pathname,
  routes: {
    cloud: { templates: [`${at('masters')}/{asset_guid}.wav`], prefixes: [], factor: 1 },
  },
})

const published = new Map<string, Published[]>()
const letters = new Map<string, string[]>()
const subscribers = [
  listen('published', (data) => {
    const message = Published.parse(data)
    published.set(message.asset_guid, [...(published.get(message.asset_guid) ?? []), message])
  }),
  listen('dead-letter', (data, attributes) => {
    const { asset_guid = '' } = EncodeJob.parse(data)
    letters.set(asset_guid, [
      ...(letters.get(asset_guid) ?? []),
      attributes.dead_letter_code ?? '',
    ])
  }),
]
let child: ChildProcess | undefined
let spare = fresh()

t.teardown(async () => {
  child?.kill('SIGKILL')
  spare.kill('SIGKILL')
  await Promise.all(subscribers.map((subscriber) => subscriber.close()))
  await bus.close()
  await catalogue.close()
  await server.close()
  await postgres.stop()
})

// Not 16-bit, not 44.1 kHz, not stereo: staging, scratch and its removal are on the way.
const master = wav([club(3 * 48_000, { rate: 48_000 })[0]], { rate: 48_000, bits: 24 })

t.test('killed at any seam, everything finishes, equal to an undisturbed run', async (t) => {
  const reference = newJob(0)
  const seams: string[] = []
  child = await start({ ...reference, seam: '' })
  child.on('message', ({ seam }: { seam?: string }) => seam !== undefined && seams.push(seam))
  await submit(reference)
  await until(() => published.has(reference.track), 20_000)
  await sleep(1000)
  child.kill('SIGKILL')
  await once(child, 'exit')

  const kinds = ['write:', 'publish:', 'commit:', 'remove:', 'ack:']
  for (const kind of kinds)
    t.ok(
      seams.some((seam) => seam.includes(kind)),
      `there are seams of ${kind}`,
    )
  t.comment(`${seams.length} seams`)

  // Every step's event goes the same way: the seams of the first stand for all of them.
  const distinct = [...new Set(seams)].filter((seam) => !/:events#([2-9]|\d\d)/.test(seam))
  const jobs = distinct.map((seam, index) => ({ ...newJob(index + 1), seam }))
  let reached = 0
  for (const job of jobs) {
    child = await start(job)
    const exit = once(child, 'exit')
    await submit(job)
    const alive = until(() => published.has(job.track), 20_000).then(() => sleep(500))
    await Promise.race([exit, alive])
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await exit
    } else reached++
  }
  // How events share messages depends on the moment: a few of their seams may not come up again.
  t.comment(`killed at ${reached} of ${jobs.length} seams`)
  t.ok(reached >= jobs.length * 0.85, 'the seams were reached')

  child = await start({ track: 'none', job: 'none', seam: '' })
  await until(() => jobs.every(({ track }) => published.has(track)), 60_000)
  await until(
    async () => (await readdir(join(folder, 'scratch', 'cloud'))).length === 0,
    30_000,
  ).catch(() => {})

  const expected = await outcome(reference.track)
  t.equal(expected.state, 'partial')
  t.same(Object.keys(expected.verdicts).sort(), ['broken', 'echo', 'pieces'])
  for (const job of jobs) t.same(await outcome(job.track), expected, job.seam)
  t.same(
    await readdir(join(folder, 'scratch', 'cloud')).catch(() => []),
    [],
    'scratch is empty',
  )
})

interface Job {
  readonly track: string
  readonly job: string
  readonly seam: string
}

function newJob(index: number): Job {
  const track = `seam-${String(index).padStart(3, '0')}`
  return { track, job: jobId(requestId(index), track), seam: '' }
}

function requestId(index: number): string {
  return `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`
}

function fresh(): ChildProcess {
  return fork(new URL('./child.ts', import.meta.url), {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

/** Lets a child begin, and starts the next one ahead: most of its time goes into loading. */
async function start(job: Job): Promise<ChildProcess> {
  const started = spare
  spare = fresh()
  started.send(job)
  await new Promise<void>((resolve, reject) => {
    started.on('message', ({ ready }: { ready?: boolean }) => ready && resolve())
    started.once('exit', (code, signal) =>
      reject(new Error(`the child ended: ${code ?? signal}`)),
    )
  })
  return started
}

async function submit({ track }: Job): Promise<void> {
  await writeFile(join(folder, 'masters', `${track}.wav`), master)
  const index = Number(track.slice(-3))
  const { topic, data, attributes } = send('ingest', EncodeJob, {
    request_id: requestId(index),
    asset_guid: track,
    derivative_assets: ['echo', 'pieces', 'broken'],
  })
  await bus.publish(topic, { data, attributes })
}

/** All that a job has left behind, less what names it. */
async function outcome(track: string) {
  const [status] = await catalogue.jobsOfRequest(requestId(Number(track.slice(-3))))
  const row = await catalogue.track(track)
  const messages = published.get(track) ?? []
  const neutral = (value: unknown) =>
    JSON.parse(
      JSON.stringify(value)
        .replaceAll(track, 'TRACK')
        .replaceAll(/f[0-9a-f]{16}/g, 'REV'),
    )
  return {
    state: status?.state,
    verdicts: Object.fromEntries(
      Object.entries(status?.assets ?? {}).map(([id, verdict]) => {
        const code = verdict?.state === 'failed' ? verdict.code : undefined
        return [id, { state: verdict?.state, version: verdict?.version, code }]
      }),
    ),
    rows: (row?.assets ?? []).map(({ asset, version, state }) => ({ asset, version, state })),
    files: await filesBelow(join(folder, 'assets', 'assets', track)),
    // A crash between the message and its commit may leave a copy, always under the same id.
    announced: new Set(messages.map(({ id }) => id)).size,
    message: messages.map(({ id, request_id, ...rest }) => neutral(rest))[0],
    letters: [...new Set(letters.get(track))],
  }
}

async function filesBelow(path: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const entry of await readdir(path, { recursive: true })) {
    const file = join(path, entry)
    if (!(await stat(file)).isFile()) continue
    found[entry.replace(/^f[0-9a-f]{16}/, 'REV')] = (await readFile(file)).toString('base64')
  }
  return found
}

function listen(
  name: string,
  heard: (data: Buffer, attributes: Readonly<Record<string, string>>) => void,
) {
  return bus.subscribe(
    name,
    { concurrency: 10, longestMs: 5000, onError: () => {} },
    async ({ data, attributes }) => {
      heard(data, attributes)
      return 'ack'
    },
  )
}

async function until(holds: () => boolean | Promise<boolean>, ms: number): Promise<void> {
  const end = Date.now() + ms
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain`)
    await sleep(50)
  }
}
