import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { open, readFile, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Account, identity } from './account.ts'
import type { Binaries } from './binaries.ts'
import { ENVIRONMENT } from './cluster.ts'

const LARGEST_LOG_BYTES = 10_000_000

interface Serving {
  readonly home: string
  readonly dataDir: string
  readonly settings: Readonly<Record<string, string>>
  readonly binaries: Binaries
  readonly account: Account | undefined
  readonly readyMs: number
  readonly signal: AbortSignal | undefined
}

/**
 * Starts the server. @returns its first process, once it answers.
 * @throws Error with the end of its log when it does not answer.
 */
export async function serve(serving: Serving): Promise<ChildProcess> {
  const { home, dataDir, readyMs, signal } = serving
  const logFile = join(home, 'postgres.log')
  const from = await rotated(logFile)
  const deadline = performance.now() + readyMs
  for (;;) {
    const server = await spawned(serving, logFile)
    try {
      while (!(await isReady(dataDir, server))) {
        signal?.throwIfAborted()
        if (performance.now() > deadline) throw new Error(`no answer within ${readyMs} ms`)
        await sleep(20)
      }
      return server
    } catch (error) {
      await end(server)
      signal?.throwIfAborted()
      const log = (await readFile(logFile)).subarray(from).toString()
      const message = error instanceof Error ? error.message : String(error)
      // Processes of a killed server may take a moment to exit.
      if (
        !/pre-existing shared memory block/.test(log.slice(-2_000)) ||
        performance.now() > deadline
      )
        throw new Error(
          `PostgreSQL did not start: ${message}. ${logFile} says: ${log.slice(-2_000).trim()}`,
        )
      await sleep(200)
    }
  }
}

async function spawned(
  { binaries, dataDir, settings, account }: Serving,
  logFile: string,
): Promise<ChildProcess> {
  const command = [
    ...(await untilWeDie()),
    binaries.postgres,
    ...['-D', dataDir],
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
  const log = await open(logFile, 'a')
  try {
    const server = spawn(command[0] as string, command.slice(1), {
      ...identity(account),
      cwd: dataDir,
      env: ENVIRONMENT,
      stdio: ['ignore', log.fd, log.fd],
      // A Ctrl-C at the terminal is for the supervisor, which ends the server after all that use it.
      detached: true,
    })
    await new Promise<void>((settle, fail) => server.once('spawn', settle).once('error', fail))
    return server
  } finally {
    await log.close()
  }
}

/** A command prefix by which the kernel ends the server when this process dies; empty where the machine has none. */
async function untilWeDie(): Promise<string[]> {
  const prefix = ['setpriv', '--pdeathsig', 'INT']
  try {
    await promisify(execFile)('setpriv', [...prefix.slice(1), 'true'], { env: ENVIRONMENT })
    return prefix
  } catch {
    return []
  }
}

// The server writes its pid file itself: its number on the first line, its state on the eighth.
async function isReady(dataDir: string, server: ChildProcess): Promise<boolean> {
  if (hasExited(server))
    throw new Error(`it ended with ${server.signalCode ?? `code ${server.exitCode}`}`)
  const text = await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '')
  const lines = text.split('\n')
  return Number(lines[0]) === server.pid && lines[7]?.trim() === 'ready'
}

/** Ends the server: a fast shutdown for up to 5 s, then harder ones; 9 s in all at most. */
export async function end(server: ChildProcess): Promise<void> {
  const ways = [
    ['SIGINT', 5_000],
    ['SIGQUIT', 2_000],
    ['SIGKILL', 2_000],
  ] as const
  for (const [way, ms] of ways) {
    if (hasExited(server)) return
    const gone = new AbortController()
    server.once('exit', () => gone.abort())
    server.kill(way)
    await sleep(ms, undefined, { signal: gone.signal }).catch(() => {})
  }
}

export function hasExited({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

/** Moves a log that has grown large aside. @returns the offset at which the next lines will begin, bytes. */
async function rotated(logFile: string): Promise<number> {
  const bytes = await stat(logFile).then(
    ({ size }) => size,
    () => 0,
  )
  if (bytes <= LARGEST_LOG_BYTES) return bytes
  await rename(logFile, `${logFile}.1`)
  return 0
}
