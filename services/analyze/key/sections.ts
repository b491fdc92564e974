import { bestFit, type Fit, fitsOf } from './profile.ts'
import type { Segment } from './segments.ts'

/** Consecutive segments in one key. */
export interface Section {
  /** Index of the first segment. */
  readonly first: number
  /** One past the index of the last. */
  readonly end: number
  /** The key of their combined pitch classes. */
  readonly found: Fit
}

/** Number of neighbours on each side with which a segment's key is determined. One segment alone has few chords. */
const REACH = 2
/** The cost of a change of key, in units of one perfectly fitting segment. Between spans a change costs nothing. */
const CHANGE_COST = 0.8

/**
 * Divides a track into sections of one key each: the sequence of keys with the best total fit minus the cost of
 * its changes (Viterbi). Adjacent sections have different keys.
 */
export function sectionsOf(segments: readonly Segment[]): readonly Section[] {
  const keys = courseOf(
    segments.map((_, i) => fitsOf(around(segments, i))),
    segments.map((_, i) => (isJoined(segments, i) ? CHANGE_COST : 0)),
  )
  const sections: Section[] = []
  for (let first = 0; first < keys.length; ) {
    let end = first + 1
    while (keys[end] === keys[first]) end++
    let section = sectionOf(segments, first, end)
    first = end
    // The key of a whole section may differ from the key that its segments were given.
    for (let last = sections.at(-1); last && sameKey(last.found, section.found); ) {
      section = sectionOf(segments, last.first, end)
      sections.pop()
      last = sections.at(-1)
    }
    sections.push(section)
  }
  return sections
}

/** The section of the segments [first, end). */
export function sectionOf(segments: readonly Segment[], first: number, end: number): Section {
  return { first, end, found: bestFit(classesOf(segments, first, end)) }
}

export function sameKey(one: Fit, other: Fit): boolean {
  return one.pitchClass === other.pitchClass && one.scale === other.scale
}

/** The number of the key of each segment. @param costs the cost of a change before each segment */
function courseOf(fits: readonly Float64Array[], costs: readonly number[]): readonly number[] {
  let gains = new Float64Array(fits[0]?.length ?? 0)
  const froms: number[][] = []
  for (const [i, now] of fits.entries()) {
    const leader = gains.indexOf(Math.max(...gains))
    const changed = (gains[leader] as number) - (costs[i] as number)
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

/** The combined pitch classes of a segment and its neighbours within the span. */
function around(segments: readonly Segment[], i: number): Float64Array {
  let first = i
  while (first > i - REACH && isJoined(segments, first)) first--
  let end = i + 1
  while (end <= i + REACH && isJoined(segments, end)) end++
  return classesOf(segments, first, end)
}

/** Whether a segment begins where the one before it ends. */
function isJoined(segments: readonly Segment[], i: number): boolean {
  return i > 0 && segments[i - 1]?.to === segments[i]?.from
}

function classesOf(segments: readonly Segment[], first: number, end: number): Float64Array {
  const sum = new Float64Array(12)
  for (const { classes } of segments.slice(first, end)) {
    for (let i = 0; i < 12; i++) sum[i] = (sum[i] as number) + (classes[i] as number)
  }
  return sum
}
