import type { ErrorCode } from '../errors.ts'
import type { Moment, OwnTime, Spent } from './own-time.ts'

/** From one look to the next, once the limit has passed on the clock, ms. */
const LOOK_MS = { least: 10, most: 1000 }

export interface Limits {
  /** Of own time, ms. */
  readonly limitMs: number
  /** Of any time, ms. */
  readonly longestMs: number
}

/**
 * Calls `stop` once so much time has passed since `began`: `over` when the step has had it to itself. What it waits for
 * others is not its own, and stopping it would only make it wait anew. What is returned ends the watch.
 */
export function hardLimit(
  own: OwnTime,
  began: Moment,
  { limitMs, longestMs }: Limits,
  stop: (why: 'over' | 'longest') => void,
): () => void {
  const look = () => {
    const { ownMs, wallMs } = own.since(began)
    if (ownMs >= limitMs) return stop('over')
    if (wallMs >= longestMs) return stop('longest')
    const left = Math.min(limitMs - ownMs, longestMs - wallMs)
    timer = setTimeout(look, Math.max(LOOK_MS.least, Math.min(LOOK_MS.most, left)))
  }
  let timer = setTimeout(look, Math.min(limitMs, longestMs))
  return () => clearTimeout(timer)
}

/** Why a step has taken longer than its limit, although it was not over it. */
export interface Late {
  readonly code: ErrorCode
  readonly sentence: string
}

/** @param bytesRead by the step, from all stores */
export function lateBy(
  { wallMs, storeMs, starvedMs }: Spent,
  limitMs: number,
  bytesRead: number,
): Late | undefined {
  if (wallMs < limitMs) return undefined
  const [took, store, starved] = [wallMs, storeMs, starvedMs].map(seconds)
  if (starvedMs > storeMs) {
    const words = `took ${took}, of which it waited ${starved} for a core`
    return { code: 'STARVED', sentence: words }
  }
  const rate = (bytesRead / 1000 / Math.max(1, storeMs)).toFixed(1)
  const words = `took ${took}, of which it waited ${store} for stores, which gave ${rate} MB/s`
  return { code: 'SLOW_UPSTREAM', sentence: words }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
