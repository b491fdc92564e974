import { Fifo } from './fifo.ts'
import type { Journal, Kept } from './journal.ts'
import type { Entry, Host } from './lease.ts'

/** The most ready messages in memory; further ones stay in the journal until their turn comes. */
const WINDOW = 10_000
const PAGE = 1_000

/**
 * The messages that are ready to be leased, in order. Of a long backlog only the head is in memory; the rest is
 * read from the journal page by page. Bodies are kept only as far as the cache has room.
 */
export class Backlog {
  readonly #key: number
  readonly #journal: Journal
  readonly #cache: Host['cache']
  #ready = new Fifo<Entry>()
  /** The highest id that has been read, and whether the journal holds more. */
  #cursor = 0
  #behind = true

  constructor(key: number, { journal, cache }: Host) {
    this.#key = key
    this.#journal = journal
    this.#cache = cache
  }

  get length(): number {
    return this.#ready.length
  }

  /** Whether a message that was just written to the journal is kept in memory, too. */
  takes(id: number): boolean {
    if (this.#ready.length >= WINDOW) this.#behind = true
    if (!this.#behind) this.#cursor = id
    return !this.#behind
  }

  /** The next messages from the journal; none while there is no room, or no more of them. */
  page(): Kept[] {
    if (!this.#behind || this.#ready.length > PAGE / 2) return []
    const page = this.#journal.page(this.#key, this.#cursor, PAGE)
    this.#behind = page.length === PAGE
    this.#cursor = page.at(-1)?.id ?? this.#cursor
    return page
  }

  /** Forgets what was read, because the journal now holds other messages. */
  restart(): void {
    this.#ready = new Fifo<Entry>()
    this.#cursor = 0
    this.#behind = true
  }

  push(entry: Entry): void {
    this.#ready.push(entry)
  }

  /**
   * The next message to deliver, or undefined when there is none. Its body is undefined when the journal no longer has
   * it.
   */
  shift(): { entry: Entry; body: Buffer | undefined } | undefined {
    for (;;) {
      const entry = this.#ready.shift()
      if (!entry) return undefined
      if (entry.state !== 'ready') continue
      const body = entry.body ?? this.#journal.body(entry.id)
      this.uncache(entry)
      return { entry, body }
    }
  }

  cache(entry: Entry, body: Buffer): void {
    if (this.#cache.used + entry.bytes > this.#cache.limit) return
    this.#cache.used += entry.bytes
    entry.body = body
  }

  uncache(entry: Entry): void {
    if (!entry.body) return
    this.#cache.used -= entry.bytes
    entry.body = undefined
  }
}
