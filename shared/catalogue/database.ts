import pg from 'pg'

export interface DatabaseOptions {
  /** A PostgreSQL connection string; `postgresql:///db?host=/folder&user=u` for a socket. */
  readonly dsn: string
  /** Connections held at most. 4 unless told. */
  readonly poolSize?: number | undefined
  /** Milliseconds until an attempt to connect, or to get a free connection, is given up. 5,000 unless told. */
  readonly connectMs?: number | undefined
  /** Milliseconds until the server cancels a statement. 10,000 unless told. */
  readonly statementMs?: number | undefined
  /** Shown by `pg_stat_activity`. */
  readonly application?: string | undefined
}

/** A statement; one with a name is parsed once per connection and kept by the server. */
interface Statement {
  readonly name?: string
  readonly text: string
  /** Milliseconds that the client waits, where that is longer than usual. */
  readonly waitMs?: number
}

export type Query = <Row extends object>(
  statement: Statement,
  values?: readonly unknown[],
) => Promise<Row[]>

/**
 * A pool of connections. Whatever it throws may be tried again: a connection that was lost is
 * thrown away, and the next call makes a new one.
 */
export interface Database {
  /** One statement, committed by itself. */
  query<Row extends object>(
    statement: Statement,
    values?: readonly unknown[],
    signal?: AbortSignal,
  ): Promise<Row[]>
  /** Commits when `work` resolves, rolls back when it throws. */
  transaction<T>(work: (query: Query) => Promise<T>, signal?: AbortSignal): Promise<T>
  /** Waits for what is under way. */
  close(): Promise<void>
}

/** How much longer than the server the client waits: only a dead link gets that far. */
const LINK_GRACE_MS = 5_000
/** The type oid of `bigint`: all of ours stay within the safe integers, so numbers will do. */
const INT8 = 20

/** Opens a pool. Nothing connects until the first query. The one place that knows the driver. */
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
  // Without a listener a lost connection would end the process, idle or in use. Whoever uses it is
  // told by the query that fails; whoever comes next gets another.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  let closed: Promise<void> | undefined

  async function withClient<T>(
    work: (client: pg.PoolClient) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    signal?.throwIfAborted()
    const client = await connected(pool, signal)
    let broken = false
    try {
      return await raced(work(client), signal)
    } catch (error) {
      broken = signal?.aborted === true || !isRefusal(error)
      throw error
    } finally {
      client.release(broken)
    }
  }

  return {
    query: (statement, values, signal) =>
      withClient((client) => run(client, statement, values), signal),
    transaction: (work, signal) =>
      withClient(async (client) => {
        await client.query('begin')
        try {
          const result = await work((statement, values) => run(client, statement, values))
          await client.query('commit')
          return result
        } catch (error) {
          // If even this fails, the connection is thrown away, which rolls back as well.
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

async function run<Row extends object>(
  client: pg.PoolClient,
  statement: Statement,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const { waitMs, ...rest } = statement
  const { rows } = await client.query<Row>({
    ...rest,
    values: [...values],
    ...(waitMs === undefined ? {} : { query_timeout: waitMs }),
  })
  return rows
}

/** Whether an error is about what the database was given, and not about the database. */
export function isAboutData(error: unknown): boolean {
  // Classes of SQLSTATE: data, integrity, syntax or access.
  return error instanceof pg.DatabaseError && /^(22|23|42)/.test(error.code ?? '')
}

/** Whether the server merely refused a statement, so that the connection is still good. */
function isRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.severity === 'ERROR'
}

async function connected(pool: pg.Pool, signal?: AbortSignal): Promise<pg.PoolClient> {
  const connecting = pool.connect()
  try {
    return await raced(connecting, signal)
  } catch (error) {
    // The signal came first: the connection that is still to come goes back unused.
    connecting.then(
      (client) => client.release(),
      () => {},
    )
    throw error
  }
}

/** `work`, unless the signal comes first. */
async function raced<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return work
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function getTypeParser(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  return oid === INT8 ? Number : pg.types.getTypeParser(oid, format as 'text')
}
