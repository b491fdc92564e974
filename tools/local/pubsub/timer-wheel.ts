import { steadyNow } from './clock.ts'

/** An item of a wheel: when it is due, and the slot that holds it (set by the wheel). */
export interface Timed {
  /** Milliseconds, as `steadyNow` counts them. */
  due: number
  slot: Set<Timed> | undefined
}

/**
 * Many thousand deadlines with one timer: items are in slots of `slotMs`, and only slots whose time has come are
 * visited. To move a deadline further away costs one assignment: the item stays in its slot until that is visited, and
 * is put into the right one then.
 */
export class Wheel<T extends Timed> {
  readonly #slotMs: number
  readonly #expired: (item: T, now: number) => void
  readonly #slots = new Map<number, Set<Timed>>()
  readonly #timer: NodeJS.Timeout
  #next: number

  /** `expired` is called for each item at most `slotMs` (and a loaded event loop) after it was due. */
  constructor(expired: (item: T, now: number) => void, slotMs = 50) {
    this.#slotMs = slotMs
    this.#expired = expired
    this.#next = Math.floor(steadyNow() / slotMs)
    this.#timer = setInterval(() => this.#turn(steadyNow()), slotMs).unref()
  }

  /** Adds an item, or moves one, to be due at `due`. */
  set(item: T, due: number): void {
    const later = item.slot !== undefined && due >= item.due
    item.due = due
    if (later) return
    this.drop(item)
    this.#put(item)
  }

  drop(item: T): void {
    item.slot?.delete(item)
    item.slot = undefined
  }

  close(): void {
    clearInterval(this.#timer)
    this.#slots.clear()
  }

  #put(item: T): void {
    const at = Math.max(Math.ceil(item.due / this.#slotMs), this.#next)
    let slot = this.#slots.get(at)
    if (!slot) {
      slot = new Set()
      this.#slots.set(at, slot)
    }
    slot.add(item)
    item.slot = slot
  }

  #turn(now: number): void {
    const upTo = Math.floor(now / this.#slotMs)
    // A process that was stopped for long may be many slots late: only slots that exist are visited.
    const passed =
      upTo - this.#next > this.#slots.size
        ? [...this.#slots.keys()].filter((at) => at <= upTo).sort((a, b) => a - b)
        : Array.from({ length: Math.max(0, upTo - this.#next + 1) }, (_, i) => this.#next + i)
    this.#next = Math.max(this.#next, upTo + 1)
    for (const at of passed) {
      const slot = this.#slots.get(at)
      if (!slot) continue
      this.#slots.delete(at)
      for (const item of slot as Set<T>) {
        item.slot = undefined
        if (item.due > now) this.#put(item)
        else this.#expired(item, now)
      }
    }
  }
}
