/** Pseudo-random numbers from 0 to below 1, the same for the same seed. */
export type Random = () => number

/** A generator (mulberry32) with 32 bits of state: good enough for choices, and for nothing else. */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A number from `from` to below `to`. */
export function between(random: Random, from: number, to: number): number {
  return from + (to - from) * random()
}

/** The items in another order. With `weights` the heavier ones tend to come first. */
export function shuffled<T>(
  random: Random,
  items: readonly T[],
  weight: (item: T) => number = () => 1,
): T[] {
  return items
    .map((item) => ({ item, key: random() ** (1 / weight(item)) }))
    .sort((a, b) => b.key - a.key)
    .map(({ item }) => item)
}
