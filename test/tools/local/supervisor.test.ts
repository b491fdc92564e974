import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { start as startItself } from '../../../tools/cli/commands/start.ts'
import { wav } from '../../support/audio.ts'
import { noChromium } from '../../support/chromium.ts'
import { patient, until } from '../../support/patience.ts'
import { npmStart, runCli } from '../../support/processes/cli.ts'
import { isRunning } from '../../support/processes/is-running.ts'
import { isLoopback, listeners } from '../../support/processes/listeners.ts'
import { club } from '../../support/synth.ts'
import { reachNothing, readNothing } from './strangers.ts'

const SERVICES = ['ingest', 'stage', 'analyze', 'encode', 'publish']

t.setTimeout(patient(1_200_000))

/**
 * The tests share a chain: `npm start`, whose processes die, whose services are restarted, and which dies itself. It has
 * a template of the operator's own, as a path, and a data folder as an earlier release left it, with the usual umask.
 */
const folder = await mkdtemp(join(tmpdir(), 'trackchain-test-'))
const umask = process.umask(0o022)
chmodSync(folder, 0o755)
const data = join(folder, 'data')
mkdirSync(join(data, 'uploads', 'a'), { recursive: true })
writeFileSync(join(data, 'uploads', 'a', 'old.upload'), 'secret')
mkdirSync(join(data, 'logs'))
writeFileSync(join(data, 'logs', 'trackchain.log'), 'secret')
writeFileSync(join(data, 'processes.json'), '[]')
const [masters, others] = [join(data, 'masters'), join(folder, 'other')]
mkdirSync(others)
const flags = ['--masters', join(others, '{asset_id}.wav')]
let chain = await npmStart(data, flags)
t.teardown(async () => {
  process.umask(umask)
  await chain.close()
  await rm(folder, { recursive: true, force: true })
})
const target = () => {
  const { url, pubsub, pid } = chain
  return { url, pubsub, data, pids: [pid, ...Object.values(pids())] }
}

t.test('other users of the machine can read nothing of a chain', (t) =>
  readNothing(t, target()),
)

t.test(
  'a page of another origin, and one by a rebound name, reach no port',
  { skip: noChromium(t) },
  (t) => reachNothing(t, target()),
)

t.test('a chain outlives the sudden death of each of its processes', async (t) => {
  const before = pids()
  t.same(Object.keys(before).sort(), [
    ...['analyze', 'database', 'encode', 'ingest', 'publish', 'pubsub', 'stage'],
  ])
  if (process.platform === 'linux') {
    const addresses = await listeners([chain.pid, ...Object.values(before)])
    t.ok(addresses.length >= 2, 'the API and Pub/Sub listen')
    t.same(
      addresses.filter((address) => !isLoopback(address)),
      [],
      'on loopback, all of them',
    )
  }
  const jobs: string[] = []
  for (const [index, pid] of Object.values(before).entries()) {
    writeMaster(join(masters, `track-${index}`), 2)
    jobs.push(await submit(`track-${index}`))
    process.kill(pid, 'SIGKILL')
    await until(() => deaths().length === index + 1)
  }
  for (const name of Object.keys(before)) {
    t.ok(
      deaths().some((death) => death.startsWith(`${name} died (SIGKILL)`)),
      name,
    )
  }
  for (const job of jobs) await ends(t, job, 'done')
  const after = pids()
  for (const [name, pid] of Object.entries(before))
    t.not(after[name], pid, `${name} is another`)
})

t.test('every service is restarted in turn under load: nothing is lost', async (t) => {
  const jobs: string[] = []
  const submitSome = async () => {
    for (let n = 0; n < 2; n++) {
      const track = `rolling-${jobs.length}`
      writeMaster(join(masters, track), 1)
      jobs.push(await submit(track))
    }
  }
  const unasked = deaths().length
  for (const name of SERVICES) {
    await submitSome()
    await endOf(jobs[0] as string)
    const before = pids()[name]
    process.kill(before ?? 0, 'SIGTERM')
    await until(() => ![before, undefined].includes(pids()[name]), 150_000)
    t.match(deaths().at(-1), new RegExp(`^${name} died .exit code 0`))
  }
  for (const job of jobs) await ends(t, job, 'done')
  t.match(await (await fetch(`${chain.url}/v1/dead-letters`)).json(), {
    letters: [],
    next: null,
  })
  t.equal(deaths().length - unasked, SERVICES.length)
})

t.test(
  'jobs that were accepted before kill -9 of the supervisor are done after it',
  async (t) => {
    writeMaster(join(others, '17'), 3)
    const job = await submit('track', { asset_id: 17, derivative_assets: ['waveform'] })
    const made = `${chain.url}/v1/tracks/track-0/assets/waveform.png/link`
    const link = ((await (await fetch(made)).json()) as { url: string }).url
    t.equal((await fetch(chain.url + link)).status, 200)
    const left = Object.values(pids())
    t.equal(left.length, SERVICES.length + 2)
    process.kill(chain.pid, 'SIGKILL')

    chain = await npmStart(data, [...flags, '--core-slowdown', '20'])
    await ends(t, job, 'done')
    t.same(left.filter(isRunning), [], 'nothing of the first chain is left')
    t.equal((await fetch(chain.url + link)).status, 200, 'a link outlives its chain')

    const words = await refused('--data', data, '--core-slowdown', 'auto')
    t.match(words, /^Steps are cut for cores that are [\d.]+ times as slow/)
    t.match(words, /in use by another chain \(process \d+, since /)

    // Steps are planned for cores as slow as --core-slowdown says.
    writeMaster(join(others, '18'), 10)
    const heavy = await submit('other', {
      asset_id: 18,
      derivative_assets: ['bpm', 'waveform'],
    })
    const { jobs } = await ends(t, heavy, 'partial')
    t.match(jobs[0], {
      assets: [
        { asset: 'bpm', state: 'failed', code: 'TOO_LONG_FOR_ASSET' },
        { asset: 'waveform', state: 'made' },
      ],
    })
    const last = Object.values(pids())
    t.equal(await chain.close(), 0)
    t.same(last.filter(isRunning), [], 'and nothing is left once it is closed')

    await t.rejects(startItself(['--data', data, '--core-slowdown', 'fast']), {
      name: 'UsageError',
      message: '--core-slowdown must be a number from 0.1 to 20, got fast.',
    })
  },
)

/** The message of a start that is refused. */
async function refused(...flags: string[]): Promise<string> {
  const { code, stderr } = await runCli(['start', ...flags])
  if (code !== 2) throw new Error(`it ended with ${code}`)
  return stderr
}

/** The processes of the chain that run now, by name. */
function pids(): Readonly<Record<string, number>> {
  const running: { name: string; pid: number }[] = JSON.parse(
    readFileSync(join(data, 'processes.json'), 'utf8'),
  )
  const [database] = readFileSync(
    join(data, 'database', 'data', 'postmaster.pid'),
    'utf8',
  ).split('\n')
  return {
    ...Object.fromEntries(running.map(({ name, pid }) => [name, pid])),
    database: Number(database),
  }
}

/** What the chain has said of processes that died. */
function deaths(): string[] {
  return chain.said().match(/^\w+ died .*$/gm) ?? []
}

async function submit(guid: string, more: object = {}): Promise<string> {
  return await answered(async () => {
    const response = await fetch(`${chain.url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        ...{ asset_guid: guid, derivative_assets: ['loudness', 'waveform'] },
        ...more,
      }),
    })
    const { request_id } = (await response.json()) as { request_id: string }
    return response.status === 202 ? request_id : undefined
  })
}

interface Request {
  readonly state: string
  readonly jobs: readonly unknown[]
}

/** What has become of a request, once it has ended. */
async function endOf(requestId: string): Promise<Request> {
  return await answered(async () => {
    const response = await fetch(`${chain.url}/v1/jobs/${requestId}`)
    const request = (await response.json()) as Request
    return ['done', 'partial', 'failed'].includes(request.state) ? request : undefined
  })
}

/** Asserts how a request ends; where it ends otherwise, the failure says why. */
async function ends(t: Test, requestId: string, state: string): Promise<Request> {
  const request = await endOf(requestId)
  t.equal(request.state, state, requestId, { request })
  return request
}

/** The first answer. Retries while a service is being restarted. */
async function answered<T>(ask: () => Promise<T | undefined>): Promise<T> {
  return (await until(() => ask().catch(() => undefined), 150_000, 200)) as T
}

/** Music, in a file of this name without `.wav`. */
function writeMaster(path: string, seconds: number): void {
  writeFileSync(`${path}.wav`, wav(club(seconds * 44_100)))
}
