/** Times are rounded to units, of which there may be as few as a thousand a second; the shortest packets last 10 ms. */
const SLACK_SECONDS = 0.008
/** What begins later than this at once, seconds, has been recorded from its middle on; earlier than that it is delayed. */
const [LATE_SECONDS, DELAYED_SECONDS] = [10, 0.1]
/** Of so many the places are kept, to see whether what is missing there comes later. */
const MAX_HOLES = 1000

/** When the fragments of a track begin and end, in units of its time, as they come. */
export class FragmentTimes {
  /** How far they come: the latest end of all; undefined where nothing tells. */
  reach: number | undefined
  /** How many come again, or behind one that is later than they are. */
  misplaced = 0
  readonly #scale: number
  readonly #holes: { from: number; to: number }[] = []
  /** What is missing where no place is kept. */
  #lost = 0
  #late = 0
  #isFirst = true

  /**
   * @param scale units a second
   * @param before how long what comes before the first of them is
   */
  constructor(scale: number, before: number) {
    this.#scale = scale
    if (before > 0) this.reach = before
  }

  /** What is missing between them, or before the first of them. */
  get lost(): number {
    return this.#holes.reduce((sum, { from, to }) => sum + to - from, this.#lost)
  }

  get late(): number {
    return this.#late
  }

  /**
   * The next one. Whether it is in its turn.
   * @param from when it begins by its own word; undefined: it says nothing
   * @param number what it is numbered by its muxer: the first of a file that begins at its beginning is 0 or 1
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

  /** Whether what begins there begins before the end of what has come. */
  isBack(from: number): boolean {
    return this.reach !== undefined && from < this.reach - SLACK_SECONDS * this.#scale
  }

  /** A file that follows: its time begins anew. */
  again(): void {
    this.reach = undefined
  }

  #look(from: number, number: number): void {
    const seconds = from / this.#scale
    if (number > 1 && seconds > DELAYED_SECONDS && seconds < LATE_SECONDS) this.#late = from
  }

  /** What was missed and comes now. */
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
