import type { Finding } from './check.ts'
import type { Seen } from './seen.ts'

/** Clocks further apart than this are told, ms: revisions, waits and sweeps compare times of several machines. */
const MAX_APART_MS = 5000

interface Span {
  readonly from: number
  readonly to: number
}

/**
 * By how much a clock is ahead of ours at least, ms; negative: behind. It was read at some moment of `theirs`, between
 * our asking and our hearing of it: however long that took, it is no fault of the clock.
 */
export function aheadOf(theirs: Span, ours: Span): number {
  if (theirs.from > ours.to) return theirs.from - ours.to
  return Math.min(0, theirs.to - ours.from)
}

/** This machine's clock beside those of what it talks to. */
export function clockFinding({ clocks }: Seen): Finding {
  const check = 'clock'
  const [furthest] = clocks.toSorted((a, b) => Math.abs(b.aheadMs) - Math.abs(a.aheadMs))
  if (furthest === undefined) {
    return { check, state: 'not told', found: 'nothing that answered tells its time' }
  }
  const { of, aheadMs } = furthest
  const seconds = (Math.abs(aheadMs) / 1000).toFixed(1)
  if (Math.abs(aheadMs) <= MAX_APART_MS) {
    return { check, state: 'ok', found: `within ${seconds} s of ${of}` }
  }
  const found = `${seconds} s ${aheadMs > 0 ? 'behind' : 'ahead of'} ${of}`
  return { check, state: 'warning', found, remedy: 'have this machine follow a time server' }
}
