import { type ChildProcess, execFile, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { glob, realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { anyPort } from '../local/port.ts'

/** A Pub/Sub server to test against the behaviour that the chain relies on. */
export interface Wire {
  readonly name: string
  /** host:port */
  readonly endpoint: string
  /** Known differences from Pub/Sub. Tests that depend on them are skipped by name. */
  readonly knownFaults: readonly KnownFault[]
  /** Kills the server and starts it again on the same port and file. */
  killAndRestart?(): Promise<void>
}

export type KnownFault =
  | 'flow control is ignored: one subscriber gets everything'
  | 'the first nack is not backed off'
  | 'nothing is persisted'
  | 'the leases of a dead client are kept until they expire'

export interface RunningWire extends Wire {
  /** Restarts the server on the same port, without its data. */
  restartEmpty(): Promise<void>
  stop(): Promise<void>
}

const SERVER = new URL('../local/pubsub/main.ts', import.meta.url).pathname

/** Our own server in a process of its own, which the suite may kill. */
export async function localWire(file: string): Promise<RunningWire> {
  let { child, port } = await startServer(file, 0)
  return {
    name: 'local',
    endpoint: `127.0.0.1:${port}`,
    knownFaults: [],
    async killAndRestart() {
      await end(child, 'SIGKILL')
      ;({ child, port } = await startServer(file, port))
    },
    async restartEmpty() {
      await end(child, 'SIGKILL')
      for (const suffix of ['', '-wal', '-shm']) await rm(file + suffix, { force: true })
      ;({ child, port } = await startServer(file, port))
    },
    stop: () => end(child, 'SIGTERM'),
  }
}

/** Google's emulator with its known differences from Pub/Sub; undefined when it is not installed. */
export async function emulatorWire(): Promise<RunningWire | undefined> {
  const jar = await emulatorJar()
  if (!jar) return undefined
  const port = await anyPort()
  let child = await startEmulator(jar, port)
  if (!child) return undefined
  return {
    name: 'official emulator',
    endpoint: `127.0.0.1:${port}`,
    knownFaults: [
      'flow control is ignored: one subscriber gets everything',
      'the first nack is not backed off',
      'nothing is persisted',
      'the leases of a dead client are kept until they expire',
    ],
    async restartEmpty() {
      if (child) await end(child, 'SIGKILL')
      child = await startEmulator(jar, port)
    },
    stop: async () => child && end(child, 'SIGKILL'),
  }
}

async function startEmulator(jar: string, port: number): Promise<ChildProcess | undefined> {
  const args = ['-jar', jar, '--host=127.0.0.1', `--port=${port}`]
  const child = spawn('java', args, { stdio: 'ignore' })
  const failed = new AbortController()
  child.on('error', () => failed.abort()).on('exit', () => failed.abort())
  return (await answers(`http://127.0.0.1:${port}/`, failed.signal)) ? child : undefined
}

async function startServer(file: string, port: number) {
  const child = fork(SERVER, ['--port', String(port), '--file', file], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const [message] = (await once(child, 'message')) as [{ port: number }]
  return { child, port: message.port }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(signal)
  await ended
}

/** The emulator beside the gcloud of the PATH. gcloud itself takes a second to say where it is installed. */
async function emulatorJar(): Promise<string | undefined> {
  const { stdout } = await promisify(execFile)('which', ['gcloud']).catch(() => ({
    stdout: '',
  }))
  if (stdout.trim() === '') return undefined
  const root = join(await realpath(stdout.trim()), '..', '..')
  for await (const jar of glob(join(root, 'platform/pubsub-emulator/lib/*.jar'))) return jar
  return undefined
}

async function answers(url: string, failed: AbortSignal): Promise<boolean> {
  while (!failed.aborted) {
    try {
      await fetch(url)
      return true
    } catch {
      await sleep(100)
    }
  }
  return false
}
