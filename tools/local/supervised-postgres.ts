import { setTimeout as sleep } from 'node:timers/promises'
import { backOff } from '#shared/async/retry.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { RESTART, SETTLED_MS } from './child.ts'
import { type Postgres, startPostgres } from './postgres/postgres.ts'

/** A database server that is restarted whenever it dies. */
export interface OwnDatabase {
  /** Connection string, the same after every start. */
  readonly dsn: string
  readonly pid: number | undefined
  stop(): Promise<void>
}

interface OwnDatabaseOptions {
  /** The folder of its files. */
  readonly folder: string
  /** Called with a sentence for the person at the terminal. */
  readonly notice: (sentence: string) => void
  readonly log: (line: string) => void
  /** Called after each start. */
  readonly onStart: () => void
  readonly signal: AbortSignal | undefined
}

/** Starts PostgreSQL and keeps it running. @throws when it does not start the first time. */
export async function keepDatabase(options: OwnDatabaseOptions): Promise<OwnDatabase> {
  const { folder, notice, log, onStart, signal } = options
  const stopping = new AbortController()
  const begin = () =>
    startPostgres({ dataDir: folder, note: notice, ...(signal ? { signal } : {}) })
  let server: Postgres | undefined = await begin()
  const { dsn, version } = server
  onStart()
  log(`PostgreSQL ${version}`)

  async function watch(): Promise<void> {
    const pause = backOff(RESTART)
    for (let born = performance.now(); ; born = performance.now()) {
      const ended = await server?.exited.catch(() => undefined)
      server = undefined
      if (stopping.signal.aborted) return
      if (performance.now() - born >= SETTLED_MS) pause.reset()
      const ms = pause.next()
      const why = ended
        ? `died (${ended.signal ?? `exit code ${ended.code}`})`
        : 'does not start'
      notice(`database ${why}; starting it again in ${ms / 1000} s`)
      await sleep(ms, undefined, { signal: stopping.signal }).catch(() => {})
      if (stopping.signal.aborted) return
      server = await begin().catch((error) => {
        log(sentence(error))
        return undefined
      })
      // Who stops it has seen no server, and waits for this to end.
      if (stopping.signal.aborted) {
        await server?.stop()
        server = undefined
        return
      }
      if (server) onStart()
    }
  }

  const watching = watch()
  return {
    dsn,
    get pid() {
      return server?.pid
    },
    async stop() {
      stopping.abort()
      await server?.stop()
      await watching
    },
  }
}
