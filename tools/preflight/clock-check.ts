import type { Finding } from './check.ts'
import type { Seen } from './seen.ts'

/** Clocks that differ by more are reported, ms: revisions, waits and sweeps compare times of several machines. */
const MAX_APART_MS = 5000

interface Span {
  readonly from: number
  readonly to: number
}

/**
 * How far a clock is ahead of ours at least, ms; negative: behind. Its reading lies within `theirs`, and was taken
 * between our request and its response (`ours`): the duration of the request does not count as a difference.
 */
export function aheadOf(theirs: Span, ours: Span): number {
  if (theirs.from > ours.to) return theirs.from - ours.to
  return Math.min(0, theirs.to - ours.from)
}

/** Compares this machine's clock with those of the servers that it uses. */
export function clockFinding({ clocks }: Seen): Finding {
  const check = 'clock'
  const [furthest] = clocks.toSorted((a, b) => Math.abs(b.aheadMs) - Math.abs(a.aheadMs))
  if (furthest === undefined) {
    return { check, state: 'unknown', found: 'no server that answered reports its time' }
  }
  const { of, aheadMs } = furthest
  const seconds = (Math.abs(aheadMs) / 1000).toFixed(1)
  if (Math.abs(aheadMs) <= MAX_APART_MS) {
    return { check, state: 'ok', found: `within ${seconds} s of ${of}` }
  }
  const found = `${seconds} s ${aheadMs > 0 ? 'behind' : 'ahead of'} ${of}`
  return { check, state: 'warning', found, remedy: 'have this machine follow a time server' }
}
