import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { orAbort } from '../async/abort.ts'

interface DatabaseOptions {
  /** A PostgreSQL connection string; `postgresql:///db?host=/folder&user=u` for a socket. */
  readonly dsn: string
  /** The maximum number of connections. Default: 4. */
  readonly poolSize?: number | undefined
  /** The time limit for connecting, or for getting a free connection, ms. Default: 5,000. */
  readonly connectMs?: number | undefined
  /** The time after which the server cancels a statement, ms. Default: 10,000. */
  readonly statementMs?: number | undefined
  /** The application name that `pg_stat_activity` shows. */
  readonly application?: string | undefined
}

/** A statement; one with a name is parsed once per connection and kept by the server. */
interface Statement {
  readonly name?: string
  readonly text: string
  /** The time after which the client gives up, ms. Default: `statementMs` and 5,000 ms for the link. */
  readonly waitMs?: number
  /** The time after which the server cancels it, ms, where it is no part of a transaction. Default: `statementMs`. */
  readonly serverMs?: number
}

export type Query = <Row extends object>(
  statement: Statement,
  values?: readonly unknown[],
) => Promise<Row[]>

/**
 * A pool of connections. Any error may be retried: a lost connection is discarded, and the next call opens a new one.
 */
export interface Database {
  /** Runs one statement, which is committed by itself. */
  query<Row extends object>(
    statement: Statement,
    values?: readonly unknown[],
    signal?: AbortSignal,
  ): Promise<Row[]>
  /** Commits when `work` resolves, rolls back when it throws. */
  transaction<T>(work: (query: Query) => Promise<T>, signal?: AbortSignal): Promise<T>
  /** Waits for running statements and closes all connections. */
  close(): Promise<void>
}

/** The client waits this much longer than the server, ms. Only a dead link reaches that limit. */
const LINK_GRACE_MS = 5_000
/** How long a statement that was given up may take to end on the server before its connection is closed, ms. */
const CANCEL_MS = 1_000
/** The type oid of `bigint`. It is parsed as a number, because all of our values are safe integers. */
const INT8 = 20

/** Opens a pool, which connects at the first query. This file is the only one that imports the driver. */
export function openDatabase(options: DatabaseOptions): Database {
  const { dsn, poolSize = 4, connectMs = 5_000, statementMs = 10_000 } = options
  const pool = new pg.Pool({
    connectionString: dsn,
    max: poolSize,
    connectionTimeoutMillis: connectMs,
    idleTimeoutMillis: 60_000,
    statement_timeout: statementMs,
    idle_in_transaction_session_timeout: statementMs,
    query_timeout: statementMs + LINK_GRACE_MS,
    keepAlive: true,
    application_name: options.application ?? 'trackchain',
    types: { getTypeParser },
  })
  // Without a listener, a lost connection would end the process, whether idle or in use. Its user gets the error of
  // the failing query, and the next one gets another connection.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  let closed: Promise<void> | undefined

  async function withClient<T>(
    work: (client: pg.PoolClient) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    signal?.throwIfAborted()
    const client = await connected(pool, signal)
    const working = work(client)
    try {
      const result = await orAbort(working, signal)
      client.release()
      return result
    } catch (error) {
      // The caller does not wait; but until the server has stopped, this is a connection of the pool.
      if (signal?.aborted) void giveUp(client, working)
      else client.release(!isRefusal(error))
      throw error
    }
  }

  return {
    query: (statement, values, signal) =>
      withClient(async (client) => {
        const { serverMs } = statement
        if (serverMs === undefined) return run(client, statement, values)
        await client.query(`set statement_timeout = ${serverMs}`)
        try {
          return await run(client, { waitMs: serverMs + LINK_GRACE_MS, ...statement }, values)
        } finally {
          await client.query('reset statement_timeout').catch(() => {})
        }
      }, signal),
    transaction: (work, signal) =>
      withClient(async (client) => {
        await client.query('begin')
        try {
          const result = await work((statement, values) => run(client, statement, values))
          await client.query('commit')
          return result
        } catch (error) {
          // If this fails too, the connection is discarded, which also rolls back.
          await client.query('rollback').catch(() => {})
          throw error
        }
      }, signal),
    close: () => {
      closed ??= pool.end()
      return closed
    },
  }
}

/** Cancels the running statement on the server, and gives the connection back when it has ended. */
async function giveUp(client: pg.PoolClient, working: Promise<unknown>): Promise<void> {
  const ended = Promise.all([cancel(client), working.then(() => true, isRefusal)])
  const late = sleep(CANCEL_MS, [undefined, false] as const, { ref: false })
  const [, isUsable] = await Promise.race([ended, late])
  client.release(!isUsable)
}

/**
 * Asks the server to cancel what a connection runs, and waits until it has been asked: a request that came late would
 * cancel the next statement. The request has the form of PostgreSQL's protocol, section CancelRequest.
 */
async function cancel(client: pg.PoolClient): Promise<void> {
  const { host, port, processID, secretKey } = client as unknown as {
    readonly host: string
    readonly port: number
    readonly processID: number
    readonly secretKey: number
  }
  const request = Buffer.alloc(16)
  for (const [index, value] of [16, 80_877_102, processID, secretKey].entries())
    request.writeInt32BE(value, 4 * index)
  const socket = host.startsWith('/')
    ? connect(`${host}/.s.PGSQL.${port}`)
    : connect(port, host)
  try {
    await once(socket, 'connect')
    socket.end(request)
    await once(socket.resume(), 'close')
  } catch {
    // Then the connection is closed.
  } finally {
    socket.destroy()
  }
}

async function run<Row extends object>(
  client: pg.PoolClient,
  statement: Statement,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const { waitMs, serverMs: _, ...rest } = statement
  const { rows } = await client.query<Row>({
    ...rest,
    values: [...values],
    ...(waitMs === undefined ? {} : { query_timeout: waitMs }),
  })
  return rows
}

/** Runs each statement by itself, until the signal aborts. */
export function atOnce(database: Database, signal?: AbortSignal): Query {
  return (statement, values) => database.query(statement, values, signal)
}

/** Resolves when the database answers. @throws when it does not. */
export async function ping(database: Database, signal?: AbortSignal): Promise<void> {
  await database.query({ text: 'select 1' }, [], signal)
}

/** Whether an error is a fault of the data or the statement, and not of the database. */
export function isAboutData(error: unknown): boolean {
  // Classes of SQLSTATE: data, integrity, syntax or access.
  return error instanceof pg.DatabaseError && /^(22|23|42)/.test(error.code ?? '')
}

/** Whether the server only refused a statement, so that the connection can still be used. */
function isRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.severity === 'ERROR'
}

async function connected(pool: pg.Pool, signal?: AbortSignal): Promise<pg.PoolClient> {
  const connecting = pool.connect()
  try {
    return await orAbort(connecting, signal)
  } catch (error) {
    // The signal aborted first. The connection, once it is there, goes back to the pool unused.
    connecting.then(
      (client) => client.release(),
      () => {},
    )
    throw error
  }
}

function getTypeParser(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  return oid === INT8 ? Number : pg.types.getTypeParser(oid, format as 'text')
}
