import { bestFit, type Fit, fitsOf } from './key-profile.ts'
import type { Segment } from './key-segments.ts'

/** Consecutive segments in one key. */
export interface Stretch {
  /** Index of the first segment. */
  readonly first: number
  /** One past the index of the last. */
  readonly end: number
  /** The key of their pitch classes together. */
  readonly found: Fit
}

/** Segments on each side that a segment's key is read with: one alone holds few chords. */
const REACH = 2
/** What a change of key must gain: so many segments of a perfect fit over none. */
const CHANGE_COST = 0.8

/**
 * Divides a track into stretches of one key each: the course of keys that fits best on the whole, less what each
 * change costs (Viterbi). Neighbours differ in key.
 */
export function stretchesOf(segments: readonly Segment[]): readonly Stretch[] {
  const keys = courseOf(
    segments.map((_, i) => fitsOf(classesOf(segments, i - REACH, i + REACH + 1))),
  )
  const stretches: Stretch[] = []
  for (let first = 0; first < keys.length; ) {
    let end = first + 1
    while (keys[end] === keys[first]) end++
    const stretch = stretchOf(segments, first, end)
    const last = stretches.at(-1)
    if (last && sameKey(last.found, stretch.found)) {
      stretches[stretches.length - 1] = stretchOf(segments, last.first, end)
    } else stretches.push(stretch)
    first = end
  }
  return stretches
}

/** The stretch of the segments [first, end). */
export function stretchOf(segments: readonly Segment[], first: number, end: number): Stretch {
  return { first, end, found: bestFit(classesOf(segments, first, end)) }
}

export function sameKey(one: Fit, other: Fit): boolean {
  return one.pitchClass === other.pitchClass && one.scale === other.scale
}

/** For each segment the number of a key. */
function courseOf(fits: readonly Float64Array[]): readonly number[] {
  let gains = new Float64Array(fits[0]?.length ?? 0)
  const froms: number[][] = []
  for (const now of fits) {
    const leader = gains.indexOf(Math.max(...gains))
    const changed = (gains[leader] as number) - CHANGE_COST
    froms.push(Array.from(gains, (gain, k) => (gain >= changed ? k : leader)))
    gains = gains.map((gain, k) => Math.max(gain, changed) + (now[k] as number))
  }
  let key = gains.indexOf(Math.max(...gains))
  const course: number[] = []
  for (const from of froms.reverse()) {
    course.unshift(key)
    key = from[key] as number
  }
  return course
}

function classesOf(segments: readonly Segment[], first: number, end: number): Float64Array {
  const sum = new Float64Array(12)
  for (const { classes } of segments.slice(Math.max(0, first), end)) {
    for (let i = 0; i < 12; i++) sum[i] = (sum[i] as number) + (classes[i] as number)
  }
  return sum
}
