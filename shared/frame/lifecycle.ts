import { flushCompileCache } from 'node:module'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { lately } from '../async/lately.ts'
import { CONFIG_EXIT, ConfigError } from '../contracts/errors/config.ts'
import { sentence } from '../contracts/errors/sentence.ts'
import { withoutPaths } from '../contracts/errors/without-paths.ts'
import { asNobody, blame, underway } from '../underway/underway.ts'
import { namesOf, refusal } from './door.ts'
import { createServer } from './node-http.ts'
import { flushed, type Log } from './telemetry/log.ts'
import type { Metrics } from './telemetry/metrics.ts'

/** How long collected metrics are cached, ms, because collecting them is expensive. */
const MEASURED_MS = 200
/** From SIGTERM until the running steps are aborted, ms. A Spot pod has 15 s in all, of which a service uses 13. */
const DRAIN_MS = 9_000
/** From SIGTERM until the process exits, even if something is still open, ms. */
export const EXIT_MS = 13_000

const exit: (code?: number | string | null) => never = process.exit
const abort: () => never = process.abort
const kill = process.kill.bind(process)

/** The phases in which a service stops. */
export interface Lifecycle {
  /** Aborts when the process is asked to stop: take no more work. */
  readonly stopping: AbortSignal
  /** Aborts 9 s later: give the running work back. */
  readonly aborting: AbortSignal
  /** Adds something to close when the service stops. The last one added is closed first. */
  onClose(name: string, close: () => Promise<unknown>): void
  /** Sets the exit code after a clean close. Default: 0. */
  exitWith(code: number): void
  /** Stops the service because its work is done. */
  leave(reason: string): void
}

/**
 * Runs a service until it has to stop: on SIGTERM, on SIGINT, or when the parent process that supervises it has gone. A
 * second signal ends the process at once. The exit code is 0 after a clean close, unless `exitWith` sets another one,
 * 1 after a fault, and 2 (`CONFIG_EXIT`) when `start` throws ConfigError.
 */
export async function runService(
  log: Log,
  start: (lifecycle: Lifecycle) => Promise<void>,
): Promise<void> {
  const stopping = new AbortController()
  const aborting = new AbortController()
  const closers: { name: string; close: () => Promise<unknown> }[] = []
  let code = 0

  async function stop(reason: string): Promise<void> {
    if (stopping.signal.aborted) end(code || 1)
    log.info({ reason }, 'stopping')
    stopping.abort(new Error(`stopping: ${reason}`))
    setTimeout(() => aborting.abort(new Error('the grace period is over')), DRAIN_MS).unref()
    setTimeout(() => {
      log.error('did not close in time')
      end(1)
    }, EXIT_MS).unref()
    for (const { name, close } of closers.reverse()) {
      await close().catch((error) => log.warn({ error: sentence(error) }, `closing ${name}`))
    }
    log.info('stopped')
    await flushed(log, 500)
    for (let waited = 0; hasOpenFiles() && waited < 500; waited += 20) await sleep(20)
    end(code)
  }

  function fault(error: unknown, origin: string): void {
    const work = blame(error)
    if (work !== undefined) {
      log.error({ origin, err: error, work: work.what }, `${work.what}: ${sentence(error)}`)
      return
    }
    log.fatal({ origin, err: error }, sentence(error))
    code = 1
    if (!stopping.signal.aborted) asNobody(() => void stop(origin))
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => void stop(signal))
  if (process.connected) process.on('disconnect', () => void stop('the supervisor has gone'))
  // Replaced for code that runs as work of a step: it must not end the process, in which other work goes on.
  process.exit = (code) => {
    if (underway() !== undefined) throw new Error('process.exit was called')
    return exit(code)
  }
  process.abort = () => {
    if (underway() !== undefined) throw new Error('process.abort was called')
    return abort()
  }
  process.kill = (pid, signal) => {
    if (pid === process.pid && underway() !== undefined)
      throw new Error('process.kill was called for the process itself')
    return kill(pid, signal)
  }
  process.on('uncaughtException', fault)
  process.on('unhandledRejection', (error) => fault(error, 'unhandledRejection'))

  try {
    await start({
      stopping: stopping.signal,
      aborting: aborting.signal,
      onClose: (name, close) => closers.push({ name, close }),
      exitWith: (given) => {
        code = given
      },
      leave: (reason) => {
        if (!stopping.signal.aborted) void stop(reason)
      },
    })
    log.info('ready')
    process.send?.({ ready: true })
    // Flushed now, so that a process that is killed later has helped the next one too.
    flushCompileCache()
  } catch (error) {
    // A sentence that names the variables is all that helps.
    if (error instanceof ConfigError) {
      log.fatal({ origin: 'configuration' }, error.message)
      code = CONFIG_EXIT
      void stop('configuration')
    } else fault(error, 'start')
  }
}

/** Ends the process. `process.exit` waits for pending file operations, which never end if an NFS server is gone. */
function end(code: number): never {
  if (hasOpenFiles()) kill(process.pid, 'SIGKILL')
  exit(code)
}

function hasOpenFiles(): boolean {
  return process.getActiveResourcesInfo().some((resource) => resource.startsWith('FSReq'))
}

const HEADERS = {
  'content-type': 'text/plain; charset=utf-8',
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
}

/**
 * Serves /healthz, /readyz and /metrics for a service that has no HTTP server of its own. Returns the port.
 * @param unready Returns why the service is not ready, or undefined when it is.
 */
export async function serveHealth(
  { host, port }: { host: string; port: number },
  metrics: Metrics,
  unready: () => string | undefined,
  lifecycle: Lifecycle,
): Promise<number> {
  const measurements = lately(() => metrics.expose(), MEASURED_MS)
  const server = createServer({ headersTimeout: 10_000 }, async (request, response) => {
    const reply = (status: number, body: string) =>
      response.writeHead(status, HEADERS).end(body)
    try {
      const refused = refusal(request, { names: namesOf(host) })
      if (refused) reply(403, `${refused.sentence}\n`)
      else if (request.method !== 'GET' && request.method !== 'HEAD') reply(405, 'only GET\n')
      else if (request.url === '/healthz') reply(200, 'ok\n')
      else if (request.url === '/readyz') {
        const reason = lifecycle.stopping.aborted ? 'stopping' : unready()
        if (reason === undefined) reply(200, 'ready\n')
        else reply(503, `not ready: ${withoutPaths(reason)}\n`)
      } else if (request.url === '/metrics') reply(200, await measurements())
      else reply(404, 'not found\n')
    } catch (error) {
      reply(500, `${sentence(error)}\n`)
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve)
  })
  server.unref()
  lifecycle.onClose('health', async () => server.close())
  return (server.address() as AddressInfo).port
}
