import { Fifo } from './fifo.ts'
import type { Journal, Kept } from './journal.ts'
import type { Entry, Host } from './lease.ts'

/** More than this many ready messages stay in the journal until their turn comes. */
const WINDOW = 10_000
const PAGE = 1_000

/**
 * What is ready to be lent, in order. Of a long backlog only the head is in memory, the rest is
 * taken from the journal page by page; and bodies are kept only as far as the cache has room.
 */
export class Backlog {
  readonly #key: number
  readonly #journal: Journal
  readonly #cache: Host['cache']
  #ready = new Fifo<Entry>()
  /** The highest id that has been taken in, and whether the journal holds more. */
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

  /** Whether a message that the journal has just been given is to be taken in, or left there. */
  takes(id: number): boolean {
    if (this.#ready.length >= WINDOW) this.#behind = true
    if (!this.#behind) this.#cursor = id
    return !this.#behind
  }

  /** What is to be taken in from the journal, now that there is room. */
  page(): Kept[] {
    if (!this.#behind || this.#ready.length > PAGE / 2) return []
    const page = this.#journal.page(this.#key, this.#cursor, PAGE)
    this.#behind = page.length === PAGE
    this.#cursor = page.at(-1)?.id ?? this.#cursor
    return page
  }

  /** The journal has other messages now than those that were taken from it. */
  restart(): void {
    this.#ready = new Fifo<Entry>()
    this.#cursor = 0
    this.#behind = true
  }

  push(entry: Entry): void {
    this.#ready.push(entry)
  }

  /** The next that is still to be delivered, with its body: undefined when that is gone. */
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
