import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { isRunning } from '../../../tools/local/process-registry.ts'
import { club, wav } from '../../support/audio.ts'
import { patient } from '../../support/patience.ts'

t.setTimeout(patient(1_500_000))

const CLI = join(import.meta.dirname, '..', '..', '..', 'tools', 'cli', 'cli.ts')
const PATIENCE_MS = 600_000

/** A small file system for the duration of the test; undefined where none may be mounted. */
async function smallDisk(t: Test, megabytes: number): Promise<string | undefined> {
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

t.test('when the disk is full for a while, nothing is lost', async (t) => {
  const disk = await smallDisk(t, 220)
  if (disk === undefined) return
  await mkdir(join(disk, 'data', 'masters'), { recursive: true })
  const tracks = Array.from({ length: 10 }, (_, n) => `track-${n}`)
  for (const track of tracks)
    await writeFile(join(disk, 'data', 'masters', `${track}.wav`), wav(club(441_000)))
  // Its output goes to the same disk.
  const said = openSync(join(disk, 'said'), 'a')
  const flags = ['--data', join(disk, 'data'), '--port', '0', '--pubsub-port', '0', '--verbose']
  const chain = spawn(process.execPath, [CLI, 'start', ...flags], {
    stdio: ['ignore', said, said],
  })
  closeSync(said)
  t.teardown(async () => {
    if (chain.exitCode !== null || chain.signalCode !== null) return
    chain.kill('SIGTERM')
    await once(chain, 'exit')
  })
  const api = await eventually(async () => {
    const { port } = JSON.parse(await readFile(join(disk, 'data', 'owner.json'), 'utf8'))
    return Number.isInteger(port) ? `http://127.0.0.1:${port}` : undefined
  })
  await eventually(async () => ((await fetch(`${api}/readyz`)).ok ? true : undefined))
  const submit = (track: string) =>
    eventually(async () => {
      const response = await fetch(`${api}/v1/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ asset_guid: track, request_id: `job-${track}` }),
      })
      return response.status === 202 ? true : undefined
    })
  await submit('track-0')
  const submitting = Promise.all(tracks.slice(1).map(submit))
  await sleep(2_000)
  const free = fill(join(disk))
  await sleep(8_000)
  // Every process that still runs is killed: all have to start again on the full disk.
  for (const { pid } of await register(disk)) if (isRunning(pid)) kill(pid)
  await sleep(12_000)
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
    const found = await register(disk)
    return found.length === 6 && found.every(({ pid }) => isRunning(pid)) ? found : undefined
  })
  t.same(
    all.map(({ name }) => name).sort(),
    ['analyze', 'encode', 'ingest', 'publish', 'pubsub', 'stage'],
    'with all its processes, and the list of them',
  )
  const log = (await readFile(join(disk, 'data', 'logs', 'trackchain.log'), 'utf8')).split('\n')
  t.match(log.at(-2), /^\{.*\}$/, 'and the log goes on')
})

t.test('a chain that is started on a full disk waits for space', async (t) => {
  const disk = await smallDisk(t, 150)
  if (disk === undefined) return
  const free = fill(disk)
  const flags = ['--data', join(disk, 'data'), '--port', '0', '--pubsub-port', '0']
  const chain = spawn(process.execPath, [CLI, 'start', ...flags])
  t.teardown(async () => {
    if (chain.exitCode !== null || chain.signalCode !== null) return
    chain.kill('SIGTERM')
    await once(chain, 'exit')
  })
  let said = ''
  for (const output of [chain.stdout, chain.stderr])
    output.setEncoding('utf8').on('data', (text) => {
      said += text
    })
  await eventually(async () => (/There is no room/.test(said) ? true : undefined))
  await free()
  await eventually(async () => (/Trackchain is up/.test(said) ? true : undefined))
  t.equal(chain.exitCode, null)
})

async function register(disk: string): Promise<{ name: string; pid: number }[]> {
  const text = await readFile(join(disk, 'data', 'processes.json'), 'utf8').catch(() => '[]')
  try {
    return JSON.parse(text)
  } catch {
    return []
  }
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
