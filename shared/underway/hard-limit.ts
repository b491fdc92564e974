import type { ErrorCode } from '../contracts/errors/chain.ts'
import type { Moment, OwnTime, Spent } from './own-time.ts'

/** From one look to the next, once half of the limit has passed on the clock, ms. */
const LOOK_MS = { least: 10, most: 1000 }
/** What is over its limit has had a core for so much of it: a machine that is merely slow to let it run has not. */
export const CORE_SHARE = 0.75
/** Of what stands still the helpers compute for a smaller share of the time, and the loop is busy for one. */
const IDLE = { helpers: 0.02, loop: 0.5 }
/** After so many limits of own time it is stopped, whatever may be the cause. */
const MAX_LIMITS = 4

interface Limits {
  /** Of own time, ms. */
  readonly limitMs: number
  /** Of any time, ms. */
  readonly longestMs: number
}

/**
 * Why a step is stopped. `over`: it has had its limit to itself, and computed. `idle`: it has neither computed nor
 * waited for a store or a core. `unclear`: it has computed a little, and nobody knows what kept it. `longest`: it was
 * kept waiting for as long as a lease can be extended.
 */
export type StopReason = 'over' | 'idle' | 'unclear' | 'longest'

/**
 * Calls `stop` once so much time has passed since `began`. What a step waits for others is not its own, and stopping
 * it would only make it wait anew; so the clock alone proves nothing: where a step has not computed either, it goes on,
 * unless it stands still. What is returned ends the watch.
 */
export function hardLimit(
  own: OwnTime,
  began: Moment,
  { limitMs, longestMs }: Limits,
  stop: (why: StopReason) => void,
): () => void {
  let isIdle = false
  let mark = began
  const look = () => {
    const { ownMs, wallMs, coreMs } = own.since(began)
    const lately = own.since(mark)
    if (lately.ownMs >= limitMs / 2) {
      isIdle = standsStill(lately)
      mark = own.now()
    }
    if (ownMs >= limitMs) {
      if (coreMs >= CORE_SHARE * limitMs) return stop('over')
      if (isIdle) return stop('idle')
      if (ownMs >= MAX_LIMITS * limitMs) return stop('unclear')
    }
    if (wallMs >= longestMs) return stop('longest')
    const left = Math.min(limitMs - ownMs, limitMs / 2 - lately.ownMs, longestMs - wallMs)
    timer = setTimeout(look, Math.max(LOOK_MS.least, Math.min(LOOK_MS.most, left)))
  }
  let timer = setTimeout(look, Math.min(limitMs / 2, longestMs))
  return () => clearTimeout(timer)
}

/** A loop that is busy without a core is one that a virtual machine's host keeps waiting: no system tells of that. */
function standsStill({ ownMs, helpersMs, busyMs, isUnseen }: Spent): boolean {
  if (isUnseen) return false
  return helpersMs < IDLE.helpers * ownMs && busyMs < IDLE.loop * ownMs
}

/** Why a step has taken longer than its limit, although it was not over it. */
interface Late {
  readonly code: ErrorCode
  readonly sentence: string
}

/** Who has waited for less than this share of the time was not kept waiting. */
const KEPT_SHARE = 0.1

/** @param bytesRead by the step, from all stores */
export function lateBy(
  { wallMs, storeMs, starvedMs }: Spent,
  limitMs: number,
  bytesRead: number,
): Late | undefined {
  if (wallMs < limitMs || storeMs + starvedMs < KEPT_SHARE * wallMs) return undefined
  const [took, store, starved] = [wallMs, storeMs, starvedMs].map(seconds)
  if (starvedMs > storeMs) {
    const words = `took ${took}, of which it waited ${starved} for a core`
    return { code: 'STARVED', sentence: words }
  }
  const rate = (bytesRead / 1000 / Math.max(1, storeMs)).toFixed(1)
  const words = `took ${took}, of which it waited ${store} for stores, which gave ${rate} MB/s`
  return { code: 'SLOW_UPSTREAM', sentence: words }
}

/** What is said of a step that was stopped without anybody knowing what kept it. */
export function unclear({ wallMs, coreMs }: Spent): Late {
  const words = `stopped after ${seconds(wallMs)}, of which it had a core for ${seconds(coreMs)}: something keeps it waiting`
  return { code: 'STARVED', sentence: words }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
