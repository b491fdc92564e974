import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { json } from '#shared/contracts/message.ts'
import { isRunning } from '../../../tools/local/process-registry.ts'
import { startChain } from '../../../tools/local/supervisor.ts'
import { club, wav } from '../../support/audio.ts'
import { patient, until } from '../../support/patience.ts'
import { isLoopback, listeners } from '../../support/processes/listeners.ts'

const SERVICES = ['ingest', 'stage', 'analyze', 'encode', 'publish']
const CLI = join(import.meta.dirname, '..', '..', '..', 'tools', 'cli', 'cli.ts')

t.setTimeout(patient(1_200_000))

/** The first two tests share a chain. */
const notices: string[] = []
const chain = await startChain({
  ...{ dataFolder: await folder(t), port: 0, pubsubPort: 0 },
  onNotice: (sentence) => notices.push(sentence),
})
t.teardown(() => chain.close())

t.test('a chain outlives the sudden death of each of its processes', async (t) => {
  const before = chain.pids()
  t.same(Object.keys(before).sort(), [
    ...['analyze', 'database', 'encode', 'ingest', 'publish', 'pubsub', 'stage'],
  ])
  if (process.platform === 'linux') {
    const addresses = await listeners([process.pid, ...Object.values(before)])
    t.ok(addresses.length >= 2, 'the API and Pub/Sub listen')
    t.same(
      addresses.filter((address) => !isLoopback(address)),
      [],
      'on loopback, all of them',
    )
  }
  const jobs: string[] = []
  for (const [index, pid] of Object.values(before).entries()) {
    writeMaster(join(chain.folder.masters, `track-${index}.wav`))
    jobs.push(await submit(chain.url, `track-${index}`))
    process.kill(pid, 'SIGKILL')
    await until(() => notices.length === index + 1)
  }
  for (const name of Object.keys(before)) {
    t.ok(
      notices.some((notice) => notice.startsWith(`${name} died (SIGKILL)`)),
      name,
    )
  }
  for (const job of jobs) t.equal(await endOf(chain.url, job), 'done')
  const after = chain.pids()
  for (const [name, pid] of Object.entries(before))
    t.not(after[name], pid, `${name} is another`)
})

t.test('every service is restarted in turn under load: nothing is lost', async (t) => {
  const bus = pubsubBus(chain.link)
  const states = new Map<string, string>()
  const options = { concurrency: 100, longestMs: 5000, onError: () => {} }
  const ear = bus.subscribe('published', options, async ({ data }) => {
    const { asset_guid, state } = json(data, 'published') as Record<string, string>
    states.set(asset_guid ?? '', state ?? '')
    return 'ack'
  })
  t.teardown(async () => {
    await ear.close()
    await bus.close()
  })
  const master = wav(club(44_100))
  const tracks: string[] = []
  const submitSome = async () => {
    for (let n = 0; n < 4; n++) {
      const asset_guid = `rolling-${tracks.length}`
      await writeFile(join(chain.folder.masters, `${asset_guid}.wav`), master)
      const job = { asset_guid, derivative_assets: ['loudness', 'waveform', 'aac-128'] }
      await bus.publish('ingest', { data: Buffer.from(JSON.stringify(job)), attributes: {} })
      tracks.push(asset_guid)
    }
  }
  const unasked = notices.length
  for (const name of SERVICES) {
    await submitSome()
    await until(() => tracks.some((track) => states.has(track)), 150_000)
    const before = chain.pids()[name]
    process.kill(before ?? 0, 'SIGTERM')
    await until(() => ![before, undefined].includes(chain.pids()[name]), 150_000)
    t.match(notices.at(-1), new RegExp(`^${name} died .exit code 0`))
  }
  await until(() => tracks.every((track) => states.has(track)), 400_000)
  t.same(new Set(tracks.map((track) => states.get(track))), new Set(['done']))
  t.match(await (await fetch(`${chain.url}/v1/dead-letters`)).json(), {
    letters: [],
    next: null,
  })
  t.equal(notices.length - unasked, SERVICES.length)

  const last = chain.pids()
  await chain.close()
  t.same(
    Object.values(last).filter(isRunning),
    [],
    'and nothing of it is left once it is closed',
  )
})

t.test(
  'jobs that were accepted before kill -9 of the supervisor are done after it',
  async (t) => {
    const data = await folder(t)
    // A template of the operator's own, as a path.
    const flags = ['--masters', join(data, 'other', '{asset_id}.wav')]
    const first = await started(t, data, ...flags, '--core-slowdown', 'auto')
    t.match(first.said(), /^Steps are cut for cores that are [\d.]+ times as slow/)
    await mkdir(join(data, 'other'))
    writeMaster(join(data, 'other', '17.wav'))
    const light = { derivative_assets: ['waveform'] }
    const job = await submit(first.url, 'track', { asset_id: 17, ...light })
    const pids = JSON.parse(readFileSync(join(data, 'processes.json'), 'utf8'))
    first.process.kill('SIGKILL')

    const second = await started(t, data, ...flags, '--core-slowdown', '20')
    t.equal(await endOf(second.url, job), 'done')
    const left = pids.filter(({ pid }: { pid: number }) => isRunning(pid))
    t.same(left, [], 'nothing of the first chain is left')

    t.match(await refused('--data', data), /in use by another chain \(process \d+, since /)

    // Steps are planned for cores as slow as --core-slowdown says.
    const { url } = second
    writeMaster(join(data, 'other', '18.wav'))
    const heavy = await submit(url, 'other', { asset_id: 18 })
    t.equal(await endOf(url, heavy), 'partial')
    const { jobs } = (await (await fetch(`${url}/v1/jobs/${heavy}`)).json()) as {
      jobs: unknown[]
    }
    t.match(jobs[0], {
      assets: [
        { asset: 'bpm', state: 'failed', code: 'TOO_LONG_FOR_ASSET' },
        { asset: 'waveform', state: 'made' },
      ],
    })
    second.process.kill('SIGTERM')
    t.equal((await once(second.process, 'exit'))[0], 0)

    const words = '--core-slowdown must be a number from 0.1 to 20, got fast.'
    t.match(await refused('--data', data, '--core-slowdown', 'fast'), words)
  },
)

/** The message of a start that is refused. */
async function refused(...flags: string[]): Promise<string> {
  const child = spawn(process.execPath, [CLI, 'start', ...flags])
  const said = text(child.stderr)
  const [code] = await once(child, 'close')
  if (code !== 2) throw new Error(`it ended with ${code}`)
  return said
}

interface Started {
  readonly process: ChildProcess
  readonly url: string
  /** Its output for people. */
  said(): string
}

/** `npm start`, once it is up. */
async function started(t: Test, data: string, ...flags: string[]): Promise<Started> {
  const ports = ['--port', '0', '--pubsub-port', '0']
  const child = spawn(process.execPath, [CLI, 'start', '--data', data, ...ports, ...flags])
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  })
  let said = ''
  for (const output of [child.stdout, child.stderr]) {
    output.setEncoding('utf8').on('data', (text) => {
      said += text
    })
  }
  const url = () => /API +(http:\S+)/.exec(said)?.[1]
  await until(() => url() !== undefined || child.exitCode !== null)
  if (url() === undefined) throw new Error(`it did not start: ${said}`)
  return { process: child, url: url() as string, said: () => said }
}

async function submit(url: string, guid: string, more: object = {}): Promise<string> {
  return await tried(async () => {
    const response = await fetch(`${url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        ...{ asset_guid: guid, derivative_assets: ['bpm', 'waveform'] },
        ...more,
      }),
    })
    const { request_id } = (await response.json()) as { request_id: string }
    return response.status === 202 ? request_id : undefined
  })
}

async function endOf(url: string, requestId: string): Promise<string> {
  return await tried(async () => {
    const response = await fetch(`${url}/v1/jobs/${requestId}`)
    const { state } = (await response.json()) as { state?: string }
    return ['done', 'partial', 'failed'].find((end) => end === state)
  })
}

/** The first response. Retries while a service is being restarted. */
async function tried<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = Date.now() + patient(60_000); ; await sleep(100)) {
    const answer = await ask().catch(() => undefined)
    if (answer !== undefined) return answer
    if (Date.now() > deadline) throw new Error('no answer in a minute')
  }
}

/** Ten seconds of music. */
function writeMaster(path: string): void {
  writeFileSync(path, wav(club(441_000)))
}

/** A folder that the database's own user can reach; removed at the end. */
async function folder(t: Pick<Test, 'teardown'>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'trackchain-test-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}
