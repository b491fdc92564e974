import { type ChildProcess, fork } from 'node:child_process'
import { sentence } from '#shared/contracts/errors/chain.ts'
import type { LogFile } from './log-file.ts'
import type { Roll } from './process-registry.ts'

export interface ChildSpec {
  readonly name: string
  /** Path of the program. */
  readonly script: string
  readonly args?: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** From SIGTERM until it is killed, ms. */
  readonly graceMs: number
}

/** A process that is started again whenever it dies. */
export interface Child {
  readonly name: string
  readonly pid: number | undefined
  /** Whether the process that runs now has said that it is ready. */
  readonly isReady: boolean
  /**
   * Resolves with what the process said when it was ready for the first time.
   * Rejects when it died several times before that, with its last words.
   */
  readonly ready: Promise<unknown>
  /** Asks it to go, and kills it when its time is up. */
  stop(): Promise<void>
  /** At once. */
  kill(): void
}

/** From a death to the next start, at first and, doubled each time, at most, ms. */
export const MIN_BACKOFF_MS = 200
export const MAX_BACKOFF_MS = 10_000
/** The back-off of who has lived so long begins anew, ms. */
export const SETTLED_MS = 5_000
/** Deaths before the first readiness that are put up with. */
const MAX_FALSE_STARTS = 3

/**
 * Starts a process and keeps it running. `onDeath` is told why and when it starts again, `onBirth` sees each process
 * that is started, before it has said anything. A message with `ready` in it is what it says when it is ready.
 */
export function keepRunning(
  spec: ChildSpec,
  sinks: {
    log: LogFile
    roll: Roll
    onDeath: (sentence: string) => void
    onBirth?: (child: ChildProcess) => void
  },
): Child {
  const { log, roll } = sinks
  const first = Promise.withResolvers<unknown>()
  // Whoever asks is told; nobody has to.
  first.promise.catch(() => {})
  let current: ChildProcess | undefined
  let restart: NodeJS.Timeout | undefined
  let wasReady = false
  let isReady = false
  let stopping = false
  let falseStarts = 0
  let backoffMs = MIN_BACKOFF_MS

  function start(): void {
    const born = performance.now()
    let child: ChildProcess
    try {
      child = fork(spec.script, [...(spec.args ?? [])], {
        env: spec.env,
        execArgv: [],
        // A session of its own: Ctrl-C in the terminal is the supervisor's, who closes in order.
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      })
    } catch (error) {
      ended(born, `${spec.name} could not be started (${sentence(error)})`)
      return
    }
    current = child
    if (child.pid !== undefined) roll.add(spec.name, child.pid)
    if (child.stdout) log.drain(spec.name, child.stdout)
    if (child.stderr) log.drain(spec.name, child.stderr)
    if (child.pid !== undefined) sinks.onBirth?.(child)
    child.on('message', (message) => {
      if (typeof message !== 'object' || !('ready' in message)) return
      wasReady = true
      isReady = true
      first.resolve(message)
    })
    child.on('error', (error) => {
      log.write(spec.name, String(error))
      // One that never came to be has no exit: there were no more processes, files or memory.
      if (child.pid === undefined && child === current)
        ended(born, `${spec.name} could not be started (${sentence(error)})`)
    })
    child.once('exit', (code, signal) => {
      if (child.pid !== undefined) roll.remove(child.pid)
      if (child !== current) return
      const words = signal === null ? lastWord(log.last(spec.name)) : ''
      ended(born, `${spec.name} died (${signal ?? `exit code ${code}`})`, words)
    })
  }

  function ended(born: number, died: string, words = ''): void {
    current = undefined
    isReady = false
    if (stopping) return
    if (!wasReady && ++falseStarts > MAX_FALSE_STARTS) {
      const said = log.last(spec.name).join('\n')
      first.reject(new Error(`${died} again and again at its start:\n${said}`))
      return
    }
    if (performance.now() - born >= SETTLED_MS) backoffMs = MIN_BACKOFF_MS
    sinks.onDeath(`${died}${words}; starting it again in ${backoffMs / 1000} s`)
    restart = setTimeout(start, backoffMs)
    backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS)
  }

  start()
  return {
    name: spec.name,
    get pid() {
      return current?.pid
    },
    get isReady() {
      return isReady
    },
    ready: first.promise,
    async stop() {
      stopping = true
      clearTimeout(restart)
      const child = current
      if (!child) return
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), spec.graceMs)
      await gone
      clearTimeout(late)
    },
    kill() {
      stopping = true
      clearTimeout(restart)
      current?.kill('SIGKILL')
    },
  }
}

/** `: what it said` when it died: its last complaint, or its last line. */
function lastWord(lines: readonly string[]): string {
  const told = lines.map((line) => {
    try {
      const { severity, message } = JSON.parse(line)
      return { text: String(message ?? ''), isComplaint: /^(?:CRITICAL|ERROR)$/.test(severity) }
    } catch {
      // What Node says when the watching thread has looked whose code stands still is no complaint.
      return { text: line, isComplaint: !/^(Waiting for the d|D)ebugger /.test(line) }
    }
  })
  const last = told.findLast(({ isComplaint }) => isComplaint) ?? told.at(-1)
  return last === undefined ? '' : `: ${last.text.slice(0, 200)}`
}
