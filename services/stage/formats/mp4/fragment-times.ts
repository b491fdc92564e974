/**
 * Tolerance for times, seconds. They are rounded to units, of which there may be only a thousand per second;
 * the shortest packets last 10 ms.
 */
const SLACK_SECONDS = 0.008
/**
 * Limits for the start of the first fragment, seconds. From the first limit on, the stream was recorded from its
 * middle on. Up to the second one, it is merely delayed. In between, its first fragments are missing, unless the
 * fragment's number says that it is the first.
 */
const [LATE_SECONDS, DELAYED_SECONDS] = [10, 0.1]
/** Maximum number of gaps whose places are kept, to see whether the missing fragments come later. */
const MAX_HOLES = 1000

/** The start and end times of the fragments of a track in the order of the file, in time units of the track. */
export class FragmentTimes {
  /** The latest end of all fragments; undefined where the fragments give no times. */
  reach: number | undefined
  /** Number of fragments that are repeated, or that follow a later one. */
  misplaced = 0
  readonly #scale: number
  readonly #holes: { from: number; to: number }[] = []
  /** Missing time whose place is not kept, units. */
  #lost = 0
  #late = 0
  #isFirst = true

  /**
   * @param scale time units per second
   * @param before length of what precedes the first fragment, units
   */
  constructor(scale: number, before: number) {
    this.#scale = scale
    if (before > 0) this.reach = before
  }

  /** The time that is missing between the fragments, units. */
  get lost(): number {
    return this.#holes.reduce((sum, { from, to }) => sum + to - from, this.#lost)
  }

  get late(): number {
    return this.#late
  }

  /**
   * Adds the next fragment. Returns whether it is in order.
   * @param from its start by its own header; undefined if it has none
   * @param number its number by its muxer; the first fragment of a complete file has 0 or 1
   */
  add(from: number | undefined, units: number, number: number): boolean {
    const { reach } = this
    if (this.#isFirst && reach === undefined) this.#look(from ?? 0, number)
    this.#isFirst = false
    if (from === undefined) {
      this.reach = undefined
      return true
    }
    const end = from + units
    const slack = SLACK_SECONDS * this.#scale
    if (units > slack && this.isBack(from)) {
      this.misplaced++
      this.#fill(from, end)
      this.reach = Math.max(reach ?? end, end)
      return false
    }
    if (reach !== undefined && from > reach + slack) {
      if (this.#holes.length < MAX_HOLES) this.#holes.push({ from: reach, to: from })
      else this.#lost += from - reach
    }
    this.reach = end
    return true
  }

  /** Whether a fragment that starts there starts before the end of those so far. */
  isBack(from: number): boolean {
    return this.reach !== undefined && from < this.reach - SLACK_SECONDS * this.#scale
  }

  /** Call this when another file follows, whose times restart. */
  again(): void {
    this.reach = undefined
  }

  #look(from: number, number: number): void {
    const seconds = from / this.#scale
    if (number > 1 && seconds > DELAYED_SECONDS && seconds < LATE_SECONDS) this.#late = from
  }

  /** Fills gaps with a fragment that comes later. */
  #fill(from: number, to: number): void {
    this.#late = Math.min(this.#late, from)
    for (const hole of this.#holes) {
      if (from > hole.from || to < hole.to) {
        if (from <= hole.from && to > hole.from) hole.from = Math.min(to, hole.to)
        else if (from < hole.to && to >= hole.to) hole.to = Math.max(from, hole.from)
      } else hole.to = hole.from
    }
  }
}
