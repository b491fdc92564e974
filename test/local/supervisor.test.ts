import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { isRunning } from '../../services/local/leftovers.ts'
import { startChain } from '../../services/local/supervisor.ts'
import { isLoopback, listeners } from '../support/listeners.ts'
import { patient, until } from '../support/patience.ts'

const CLI = join(import.meta.dirname, '..', '..', 'services', 'local', 'cli.ts')

t.test('a chain outlives the sudden death of each of its processes', async (t) => {
  const data = await folder(t)
  const notices: string[] = []
  const chain = await startChain({
    ...{ dataFolder: data, port: 0, pubsubPort: 0 },
    onNotice: (sentence) => notices.push(sentence),
  })
  t.teardown(() => chain.close())
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

  await chain.close()
  t.same(
    Object.values(after).filter(isRunning),
    [],
    'and nothing of it is left once it is closed',
  )
})

t.test('what was accepted before kill -9 of the supervisor is done after it', async (t) => {
  const data = await folder(t)
  // A template of the operator's own, as a path.
  const flags = ['--masters', join(data, 'other', '{asset_id}.wav')]
  const first = await started(t, data, ...flags, '--factor', 'auto')
  t.match(first.said(), /^Steps are cut for cores that are [\d.]+ times as slow/)
  await mkdir(join(data, 'other'))
  writeMaster(join(data, 'other', '17.wav'))
  const job = await submit(first.url, 'track', { asset_id: 17 })
  const pids = JSON.parse(readFileSync(join(data, 'processes.json'), 'utf8'))
  first.process.kill('SIGKILL')

  const second = await started(t, data, ...flags)
  t.equal(await endOf(second.url, job), 'done')
  const left = pids.filter(({ pid }: { pid: number }) => isRunning(pid))
  t.same(left, [], 'nothing of the first chain is left')

  const third = spawn(process.execPath, [CLI, 'start', '--data', data])
  const said = third.stderr.setEncoding('utf8').toArray()
  t.equal((await once(third, 'close'))[0], 2)
  t.match((await said).join(''), /in use by another chain \(process \d+, since /)

  second.process.kill('SIGTERM')
  t.equal((await once(second.process, 'exit'))[0], 0)
})

t.test('steps are planned for cores as slow as is said', async (t) => {
  const data = await folder(t)
  const { process: child, url } = await started(t, data, '--factor', '20')
  writeMaster(join(data, 'masters', 'track.wav'))
  const job = await submit(url, 'track')
  t.equal(await endOf(url, job), 'partial')
  const { jobs } = (await (await fetch(`${url}/v1/jobs/${job}`)).json()) as { jobs: unknown[] }
  t.match(jobs[0], {
    assets: [
      { asset: 'bpm', state: 'failed', code: 'TOO_LONG_FOR_ASSET' },
      { asset: 'waveform', state: 'made' },
    ],
  })
  child.kill('SIGTERM')
  await once(child, 'exit')

  const wrong = spawn(process.execPath, [CLI, 'start', '--data', data, '--factor', 'fast'])
  const said = wrong.stderr.setEncoding('utf8').toArray()
  t.equal((await once(wrong, 'close'))[0], 2)
  t.match((await said).join(''), '--factor must be a number from 0.1 to 20, got fast.')
})

interface Started {
  readonly process: ChildProcess
  readonly url: string
  /** What it has told people. */
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

/** The first answer; a service that is just being started again is asked again. */
async function tried<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = Date.now() + patient(60_000); ; await sleep(100)) {
    const answer = await ask().catch(() => undefined)
    if (answer !== undefined) return answer
    if (Date.now() > deadline) throw new Error('no answer in a minute')
  }
}

/** Ten seconds of clicks at 120 BPM: a conformant WAV. */
function writeMaster(path: string): void {
  const samples = 441_000
  const wav = Buffer.alloc(44 + samples * 4)
  wav.write('RIFF', 0)
  wav.writeUInt32LE(wav.length - 8, 4)
  wav.write('WAVEfmt ', 8)
  wav.writeUInt32LE(16, 16)
  wav.writeUInt16LE(1, 20)
  wav.writeUInt16LE(2, 22)
  wav.writeUInt32LE(44_100, 24)
  wav.writeUInt32LE(176_400, 28)
  wav.writeUInt16LE(4, 32)
  wav.writeUInt16LE(16, 34)
  wav.write('data', 36)
  wav.writeUInt32LE(samples * 4, 40)
  for (let n = 0; n < samples; n++) {
    const value = Math.round(20_000 * Math.exp((-(n % 22_050) / 22_050) * 40) * Math.sin(n / 5))
    wav.writeInt16LE(value, 44 + n * 4)
    wav.writeInt16LE(value, 46 + n * 4)
  }
  writeFileSync(path, wav)
}

/** A folder that the database's own user can get to, removed at the end. */
async function folder(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'trackchain-test-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}
