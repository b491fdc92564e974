import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { wav } from '../../support/audio.ts'
import { patient } from '../../support/patience.ts'
import { isRunning } from '../../support/processes/is-running.ts'
import { club } from '../../support/synth.ts'

t.setTimeout(patient(1_500_000))

const CLI = join(import.meta.dirname, '..', '..', '..', 'tools', 'cli', 'cli.ts')
const PATIENCE_MS = 600_000

/** A small file system for the duration of the tests; undefined where none may be mounted. */
async function smallDisk(megabytes: number): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'trackchain-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder], {
      stdio: 'pipe',
    })
  } catch (error) {
    await rm(folder, { recursive: true })
    t.comment(`NOT TESTED is a full disk: no tmpfs may be mounted here (${error})`)
    return undefined
  }
  t.teardown(async () => {
    execFileSync('umount', ['--lazy', folder])
    await rm(folder, { recursive: true })
  })
  return folder
}

/** Fills the disk. @returns a function that frees the space */
function fill(folder: string): () => Promise<void> {
  const path = join(folder, 'filler')
  const fd = openSync(path, 'w')
  const block = Buffer.alloc(1 << 16)
  try {
    for (let bytes = block.length; bytes > 0; ) {
      try {
        writeSync(fd, block, 0, bytes)
      } catch {
        bytes >>= 1
      }
    }
  } finally {
    closeSync(fd)
  }
  return () => rm(path)
}

/** The tests share a chain: it is started on a full disk, and the disk is full again during its work. */
const disk = await smallDisk(220)
const skip = disk === undefined && 'no file system can be mounted here'
const data = join(disk ?? '', 'data')
const saidFile = join(disk ?? '', 'said')
const said = () => readFile(saidFile, 'utf8')
let chain: ChildProcess
t.teardown(async () => {
  if (chain === undefined || chain.exitCode !== null || chain.signalCode !== null) return
  chain.kill('SIGTERM')
  await once(chain, 'exit')
})

t.test('a chain that is started on a full disk waits for space', { skip }, async (t) => {
  // Its output goes to the same disk, which has room for the first sentences only.
  await writeFile(saidFile, ' '.repeat(8192))
  const output = openSync(saidFile, 'r+')
  const free = fill(disk as string)
  const flags = ['--data', data, '--port', '0', '--pubsub-port', '0', '--verbose']
  chain = spawn(process.execPath, [CLI, 'start', ...flags], {
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  await eventually(async () => (/There is no room/.test(await said()) ? true : undefined))
  await free()
  await eventually(async () => (/Trackchain is up/.test(await said()) ? true : undefined))
  t.equal(chain.exitCode, null)
})

t.test('when the disk is full for a while, nothing is lost', { skip }, async (t) => {
  const tracks = Array.from({ length: 10 }, (_, n) => `track-${n}`)
  const master = wav(club(4 * 44_100))
  for (const track of tracks) await writeFile(join(data, 'masters', `${track}.wav`), master)
  const { port } = JSON.parse(await readFile(join(data, 'owner.json'), 'utf8'))
  const api = `http://127.0.0.1:${port}`
  const submit = (track: string) =>
    eventually(async () => {
      const response = await fetch(`${api}/v1/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          ...{ asset_guid: track, request_id: `job-${track}` },
          derivative_assets: ['loudness', 'waveform', 'aac-128', 'flac'],
        }),
      })
      return response.status === 202 ? true : undefined
    })
  await submit('track-0')
  const submitting = Promise.all(tracks.slice(1).map(submit))
  await eventually(async () => (await readdir(join(data, 'assets'))).length > 0 || undefined)
  const free = fill(disk as string)
  const before = await register()
  // The Pub/Sub server ends when it can't write.
  await eventually(async () => before.some(({ pid }) => !isRunning(pid)) || undefined)
  // Every process that still runs is killed: all have to start again on the full disk.
  for (const { pid } of before) if (isRunning(pid)) kill(pid)
  const killed = new Set(before.map(({ pid }) => pid))
  const again = new Set<string>()
  await eventually(async () => {
    for (const { pid, program } of childrenOf(chain.pid as number))
      if (!killed.has(pid)) again.add(program)
    return again.size >= before.length || undefined
  })
  t.equal(chain.exitCode ?? chain.signalCode, null, 'the supervisor lives')
  await free()

  await submitting
  for (const track of tracks) {
    const state = await eventually(async () => {
      const response = await fetch(`${api}/v1/jobs/job-${track}`)
      const { state } = (await response.json()) as { state?: string }
      return ['done', 'partial', 'failed'].find((end) => end === state)
    })
    t.equal(state, 'done', track)
  }
  const { letters } = (await (await fetch(`${api}/v1/dead-letters`)).json()) as {
    letters: unknown[]
  }
  t.same(letters, [], 'no dead letter')
  t.equal(chain.exitCode ?? chain.signalCode, null, 'and the supervisor lives')
  const all = await eventually(async () => {
    const found = await register()
    return found.length === 6 && found.every(({ pid }) => isRunning(pid)) ? found : undefined
  })
  t.same(
    all.map(({ name }) => name).sort(),
    ['analyze', 'encode', 'ingest', 'publish', 'pubsub', 'stage'],
    'with all its processes, and the list of them',
  )
  const log = (await readFile(join(data, 'logs', 'trackchain.log'), 'utf8')).split('\n')
  t.match(log.at(-2), /^\{.*\}$/, 'and the log goes on')
})

async function register(): Promise<{ name: string; pid: number }[]> {
  const text = await readFile(join(data, 'processes.json'), 'utf8').catch(() => '[]')
  try {
    return JSON.parse(text)
  } catch {
    return []
  }
}

/** The programs that a process has started and that still run. */
function childrenOf(parent: number): { pid: number; program: string }[] {
  const lines = execFileSync('ps', ['-ww', '--ppid', `${parent}`, '-o', 'pid=,args='], {
    encoding: 'utf8',
  })
  const found = lines.matchAll(/^ *(\d+) .*\/(\w+)\/main\.ts/gm)
  return [...found].map(([, pid, program = '']) => ({ pid: Number(pid), program }))
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {}
}

async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = performance.now() + PATIENCE_MS; ; await sleep(300)) {
    const found = await look().catch(() => undefined)
    if (found !== undefined) return found
    if (performance.now() > deadline) throw new Error(`in vain: ${look}`)
  }
}
