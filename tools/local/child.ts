import { type ChildProcess, fork } from 'node:child_process'
import { backOff } from '#shared/async/retry.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import type { LogFile } from './log-file.ts'
import type { Roll } from './process-registry.ts'

export interface ChildSpec {
  readonly name: string
  /** Path of the program. */
  readonly script: string
  readonly args?: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Time from SIGTERM to SIGKILL, ms. */
  readonly graceMs: number
}

/** A process that is restarted whenever it dies. */
export interface Child {
  readonly name: string
  readonly pid: number | undefined
  /** Whether the current process has reported that it is ready. */
  readonly isReady: boolean
  /**
   * Resolves with the message by which the process first reported that it is ready.
   * Rejects when it died more than three times before that, with its last words.
   */
  readonly ready: Promise<unknown>
  /** Sends SIGTERM, and SIGKILL after the grace. */
  stop(): Promise<void>
  /** Sends SIGKILL. */
  kill(): void
}

/** Back-off from a death to the next start, ms: the first, doubled each time up to the longest. */
export const RESTART = { firstMs: 200, mostMs: 10_000, jitter: 0 }
/** A process that has run for this long starts with the first back-off again, ms. */
export const SETTLED_MS = 5_000
/** The most deaths before the first readiness that are tolerated. */
const MAX_FALSE_STARTS = 3
/**
 * A smaller young generation of objects, MiB, than Node takes on a machine with much memory; in a pod it follows the
 * limit of the pod. With it `publish` reads a list of 600,000 items as fast, and in 299 MiB instead of 403.
 */
const NODE_FLAGS = ['--max-semi-space-size=8']

/**
 * Starts a process and keeps it running. `onDeath` is called with why it died and when it starts again, `onBirth` with
 * each process that is started, before its first message. A process is ready when it sends a message with `ready`.
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
  // Callers see the rejection through `ready`; without one it is not an unhandled rejection.
  first.promise.catch(() => {})
  let current: ChildProcess | undefined
  let restart: NodeJS.Timeout | undefined
  let wasReady = false
  let isReady = false
  let stopping = false
  let falseStarts = 0
  const pause = backOff(RESTART)

  function start(): void {
    const born = performance.now()
    let child: ChildProcess
    try {
      child = fork(spec.script, [...(spec.args ?? [])], {
        env: spec.env,
        execArgv: NODE_FLAGS,
        // A session of its own: a Ctrl-C in the terminal reaches the supervisor only, which closes in order.
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
      // A process that could not be spawned, for want of processes, files or memory, has no exit event.
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
    if (performance.now() - born >= SETTLED_MS) pause.reset()
    const ms = pause.next()
    sinks.onDeath(`${died}${words}; starting it again in ${ms / 1000} s`)
    restart = setTimeout(start, ms)
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

/** A colon and the last words of a process that died: its last error, or else its last line. */
function lastWord(lines: readonly string[]): string {
  const read = lines.map((line) => {
    try {
      const { severity, message } = JSON.parse(line)
      return { text: String(message ?? ''), isComplaint: /^(?:CRITICAL|ERROR)$/.test(severity) }
    } catch {
      // Node prints these lines when the watchdog thread inspects the stack: they are no complaints.
      return { text: line, isComplaint: !/^(Waiting for the d|D)ebugger /.test(line) }
    }
  })
  const last = read.findLast(({ isComplaint }) => isComplaint) ?? read.at(-1)
  return last === undefined ? '' : `: ${last.text.slice(0, 200)}`
}
