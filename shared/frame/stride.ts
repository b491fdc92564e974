import { LANES, type Lane } from '../contracts/lanes.ts'

/** The parts of the cores' time that lanes get while all of them want more than there is. */
const PARTS: Readonly<Record<Lane, number>> = { urgent: 64, new: 16, backfill: 1 }
/** The least share of a lane that has work: with less, its messages would be on lease for hours. */
const MIN_SHARE = 0.05
/**
 * A lane goes before a more urgent one if its pass is lower by this, ms: 13 s of a core for one track from its first
 * step to its last, and over a longer time to each lane its share.
 */
const OWED = 200

interface Turn {
  readonly lane: Lane
  readonly parts: number
  readonly began: number
}

/**
 * Stride scheduling (Waldspurger and Weihl, 1995) over the lanes: each has a pass, which grows with the time of its turns
 * over the lane's parts, and the lane with the lowest pass is next, of nearly equal ones the most urgent. So each gets its
 * share however long turns are. A lane that had no work is not owed anything for that time.
 */
export class Stride {
  readonly #passes: Record<Lane, number> = { urgent: 0, new: 0, backfill: 0 }
  readonly #turns = new Set<Turn>()
  /** The lowest pass of the lanes that had work: where a lane begins that had none. It never falls. */
  #floor = 0
  readonly #clock: () => number

  /** @param clock The time, ms. */
  constructor(clock = () => performance.now()) {
    this.#clock = clock
  }

  /** The lane whose turn is next, of those that want one; the more urgent one if no other is owed. Undefined: none wants. */
  next(wanting: readonly Lane[]): Lane | undefined {
    const [first, ...others] = LANES.filter((lane) => wanting.includes(lane))
    if (first === undefined) return undefined
    return others.reduce<Lane>(
      (best, lane) => (this.#passOf(lane) + OWED < this.#passOf(best) ? lane : best),
      first,
    )
  }

  /** Call it when a lane begins to want turns. `wanting`: the lanes that want some already. */
  join(lane: Lane, wanting: readonly Lane[]): void {
    const working = this.#raiseFloor(wanting)
    if (!working.has(lane)) this.#passes[lane] = Math.max(this.#passes[lane], this.#floor)
  }

  /** Begins a turn. The returned function ends it. `wanting`: the lanes that want one at that moment. */
  begin(lane: Lane, wanting: readonly Lane[]): (wanting: readonly Lane[]) => void {
    const turn = { lane, parts: partsOf(lane, wanting), began: this.#clock() }
    this.#turns.add(turn)
    return (wanting) => {
      this.#raiseFloor(wanting)
      this.#passes[lane] += this.#growth(turn)
      this.#turns.delete(turn)
    }
  }

  /** @returns the lanes that have work. */
  #raiseFloor(wanting: readonly Lane[]): ReadonlySet<Lane> {
    const working = new Set([...wanting, ...[...this.#turns].map(({ lane }) => lane)])
    const passes = [...working].map((lane) => this.#passOf(lane))
    if (passes.length > 0) this.#floor = Math.max(this.#floor, Math.min(...passes))
    return working
  }

  #passOf(lane: Lane): number {
    let pass = this.#passes[lane]
    for (const turn of this.#turns) if (turn.lane === lane) pass += this.#growth(turn)
    return pass
  }

  #growth({ began, parts }: Turn): number {
    return (this.#clock() - began) / parts
  }
}

/** The parts of a lane beside the others that want a turn: at least those that make up the least share. */
function partsOf(lane: Lane, wanting: readonly Lane[]): number {
  const others = wanting.filter((each) => each !== lane)
  const sum = others.reduce((parts, each) => parts + PARTS[each], 0)
  return Math.max(PARTS[lane], (sum * MIN_SHARE) / (1 - MIN_SHARE))
}
