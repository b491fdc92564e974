import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import type { Journal, Kept } from './journal.ts'
import type { SnapshotConfig, SubscriptionConfig, TopicConfig } from './resources.ts'

/** Bodies up to this many bytes are read with a page; larger ones are read when they are delivered. */
const SMALL_BODY_BYTES = 65_536
/** Pages (4 KiB) of write-ahead log before it is copied into the file: 64 MiB, because each copy waits for the disk. */
const CHECKPOINT_PAGES = 16_384

/** How often the last id is saved, ms. Ids are times, so it only matters after the clock was set back. */
const SAVE_LAST_ID_MS = 1_000

const SCHEMA = `
  create table if not exists topics (name text primary key, config text not null) without rowid;
  create table if not exists subscriptions (
    key integer primary key autoincrement, name text not null unique, config text not null
  );
  create table if not exists snapshots (
    key integer primary key autoincrement, name text not null unique, config text not null
  );
  create table if not exists messages (
    id integer primary key, waiting integer not null, body blob not null
  );
  create table if not exists deliveries (
    subscription integer not null, message integer not null,
    attempt integer not null, due integer not null,
    primary key (subscription, message)
  ) without rowid;
  create table if not exists meta (name text primary key, value integer not null) without rowid;
`

/**
 * The journal in one SQLite file. WAL with synchronous=NORMAL: committed transactions survive the death of the process
 * at any instant; a loss of power may lose the last moments.
 */
export class SqliteJournal implements Journal {
  readonly #db: DatabaseSync
  readonly #sql: Record<keyof typeof STATEMENTS, Statement>
  /**
   * The error of a write that the disk refused. The transaction may be incomplete, so that it must not be committed.
   */
  #refused: unknown
  #open = false
  #lastId = 0
  #savedAt = Number.NEGATIVE_INFINITY

  /** @throws when the file cannot be opened, is no database, or is held by another process. */
  constructor(file: string) {
    this.#db = open(file)
    this.#db.exec('pragma busy_timeout = 2000; pragma locking_mode = exclusive')
    this.#db.exec('pragma journal_mode = wal; pragma synchronous = normal')
    this.#db.exec(`pragma wal_autocheckpoint = ${CHECKPOINT_PAGES}; pragma cache_size = -32768`)
    this.#db.exec(SCHEMA)
    this.#shrink()
    this.#sql = Object.fromEntries(
      Object.entries(STATEMENTS).map(([name, text]) => [name, this.#watched(text)]),
    ) as Record<keyof typeof STATEMENTS, Statement>
    this.#lastId = Number(this.#sql.lastId.get()?.id ?? 0)
  }

  get dirty(): boolean {
    return this.#open || this.#refused !== undefined
  }

  topics(): TopicConfig[] {
    return this.#sql.topics.all().map((row) => JSON.parse(String(row.config)))
  }

  subscriptions(): { key: number; config: SubscriptionConfig }[] {
    return this.#sql.subscriptions
      .all()
      .map((row) => ({ key: Number(row.key), config: JSON.parse(String(row.config)) }))
  }

  snapshots(): { key: number; config: SnapshotConfig }[] {
    return this.#sql.snapshots
      .all()
      .map((row) => ({ key: -Number(row.key), config: JSON.parse(String(row.config)) }))
  }

  lastId(): number {
    return this.#lastId
  }

  saveTopic(config: TopicConfig): void {
    this.#begin()
    this.#sql.saveTopic.run(config.name, JSON.stringify(config))
  }

  removeTopic(name: string): void {
    this.#begin()
    this.#sql.removeTopic.run(name)
  }

  saveSubscription(config: SubscriptionConfig): number {
    this.#begin()
    return Number(
      this.#sql.saveSubscription.get(config.name, JSON.stringify(config))?.key ?? Number.NaN,
    )
  }

  removeSubscription(key: number): void {
    this.expire(key, Number.MAX_SAFE_INTEGER)
    this.#sql.removeSubscription.run(key)
  }

  // In the table of deliveries a snapshot has its negated key, so that it differs from those of subscriptions.
  saveSnapshot(config: SnapshotConfig): number {
    this.#begin()
    return -Number(
      this.#sql.saveSnapshot.get(config.name, JSON.stringify(config))?.key ?? Number.NaN,
    )
  }

  removeSnapshot(key: number): void {
    this.expire(key, Number.MAX_SAFE_INTEGER)
    this.#sql.removeSnapshot.run(-key)
  }

  add(id: number, body: Buffer, subscriptions: readonly number[]): void {
    this.#begin()
    this.#lastId = id
    this.#sql.addMessage.run(id, subscriptions.length, body)
    for (const key of subscriptions) this.#sql.addDelivery.run(key, id)
  }

  settle(subscription: number, id: number, shared: boolean): void {
    this.#begin()
    if (this.#sql.removeDelivery.run(subscription, id).changes === 0) return
    if (!shared) this.#sql.removeMessage.run(id)
    else if (this.#sql.countDown.get(id)?.waiting === 0) this.#sql.removeMessage.run(id)
  }

  note(subscription: number, id: number, attempt: number, due: number): void {
    this.#begin()
    this.#sql.note.run(attempt, due, subscription, id)
  }

  page(subscription: number, after: number, limit: number): Kept[] {
    return this.#sql.page.all(subscription, after, limit).map((row) => ({
      id: Number(row.message),
      attempt: Number(row.attempt),
      due: Number(row.due),
      bytes: Number(row.bytes),
      shared: Number(row.waiting) > 1,
      body: row.body instanceof Uint8Array ? asBuffer(row.body) : undefined,
    }))
  }

  body(id: number): Buffer | undefined {
    const body = this.#sql.body.get(id)?.body
    return body instanceof Uint8Array ? asBuffer(body) : undefined
  }

  hurry(subscription: number): void {
    this.#begin()
    this.#sql.hurry.run(subscription)
  }

  copy(from: number, to: number): void {
    this.#begin()
    this.#sql.countUp.run(from)
    this.#sql.copy.run(to, from)
  }

  oldest(subscription: number): number | undefined {
    const id = this.#sql.oldest.get(subscription)?.id
    return typeof id === 'number' ? id : undefined
  }

  expire(subscription: number, below: number): number {
    this.#begin()
    this.#sql.removeExpiredMessages.run(subscription, below)
    this.#sql.countDownExpired.run(subscription, below)
    return Number(this.#sql.expire.run(subscription, below).changes)
  }

  commit(): void {
    if (this.#refused !== undefined) throw this.#refused
    if (!this.#open) return
    const now = performance.now()
    if (now - this.#savedAt > SAVE_LAST_ID_MS) this.#saveLastId(now)
    this.#sql.commit.run()
    this.#open = false
  }

  close(): void {
    try {
      this.#begin()
      this.#saveLastId(performance.now())
      this.commit()
    } finally {
      this.#db.close()
    }
  }

  #watched(text: string): Statement {
    const statement = this.#db.prepare(text)
    const watching = <R>(act: (...given: SQLInputValue[]) => R) => {
      return (...given: SQLInputValue[]): R => {
        try {
          return act(...given)
        } catch (error) {
          this.#refused ??= error
          throw error
        }
      }
    }
    return {
      run: watching((...given) => statement.run(...given)),
      get: watching((...given) => statement.get(...given)),
      all: watching((...given) => statement.all(...given)),
    }
  }

  #begin(): void {
    if (this.#open) return
    this.#sql.begin.run()
    this.#open = true
  }

  #saveLastId(now: number): void {
    this.#savedAt = now
    this.#sql.saveLastId.run(this.#lastId)
  }

  /** Shrinks a file that a large backlog has grown, when little of it is in use. */
  #shrink(): void {
    const pages = Number(this.#db.prepare('pragma page_count').get()?.page_count)
    const free = Number(this.#db.prepare('pragma freelist_count').get()?.freelist_count)
    if (pages < 16_384 || free < pages * 0.9) return
    this.#db.exec('vacuum; pragma wal_checkpoint(truncate)')
  }
}

/** `StatementSync` of node:sqlite, with positional values only. */
interface Statement {
  run(...given: SQLInputValue[]): ReturnType<StatementSync['run']>
  get(...given: SQLInputValue[]): ReturnType<StatementSync['get']>
  all(...given: SQLInputValue[]): ReturnType<StatementSync['all']>
}

/** How many messages wait for each subscription, by its short name. No process may have the file open. */
export function waitingIn(file: string): Record<string, number> {
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    const rows = db.prepare(`select name, count(*) as waiting from deliveries
      join subscriptions on key = subscription group by name`)
    return Object.fromEntries(
      rows.all().map(({ name, waiting }) => [String(name).split('/').at(-1), Number(waiting)]),
    )
  } finally {
    db.close()
  }
}

const STATEMENTS = {
  begin: 'begin',
  commit: 'commit',
  topics: 'select config from topics order by name',
  subscriptions: 'select key, config from subscriptions order by name',
  snapshots: 'select key, config from snapshots order by name',
  lastId: `select max(value) as id from
    (select value from meta where name = 'last id' union all select max(id) from messages)`,
  saveLastId: "insert or replace into meta (name, value) values ('last id', ?)",
  saveTopic: 'insert or replace into topics (name, config) values (?, ?)',
  removeTopic: 'delete from topics where name = ?',
  saveSubscription: `insert into subscriptions (name, config) values (?, ?)
    on conflict (name) do update set config = excluded.config returning key`,
  removeSubscription: 'delete from subscriptions where key = ?',
  saveSnapshot: `insert into snapshots (name, config) values (?, ?)
    on conflict (name) do update set config = excluded.config returning key`,
  removeSnapshot: 'delete from snapshots where key = ?',
  addMessage: 'insert into messages (id, waiting, body) values (?, ?, ?)',
  addDelivery:
    'insert into deliveries (subscription, message, attempt, due) values (?, ?, 0, 0)',
  removeDelivery: 'delete from deliveries where subscription = ? and message = ?',
  removeMessage: 'delete from messages where id = ?',
  countDown: 'update messages set waiting = waiting - 1 where id = ? returning waiting',
  note: 'update deliveries set attempt = ?, due = ? where subscription = ? and message = ?',
  page: `select d.message, d.attempt, d.due, m.waiting, length(m.body) as bytes,
      case when length(m.body) <= ${SMALL_BODY_BYTES} then m.body end as body
    from deliveries d join messages m on m.id = d.message
    where d.subscription = ? and d.message > ? order by d.message limit ?`,
  body: 'select body from messages where id = ?',
  hurry: 'update deliveries set due = 0 where subscription = ? and due > 0',
  countUp: `update messages set waiting = waiting + 1 where id in
    (select message from deliveries where subscription = ?)`,
  copy: `insert into deliveries (subscription, message, attempt, due)
    select ?, message, 0, 0 from deliveries where subscription = ?`,
  oldest: 'select min(message) as id from deliveries where subscription = ?',
  removeExpiredMessages: `delete from messages where waiting = 1 and id in
    (select message from deliveries where subscription = ? and message < ?)`,
  countDownExpired: `update messages set waiting = waiting - 1 where id in
    (select message from deliveries where subscription = ? and message < ?)`,
  expire: 'delete from deliveries where subscription = ? and message < ?',
} as const

function open(file: string): DatabaseSync {
  try {
    return new DatabaseSync(file)
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error })
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
