import type { DelayCode } from '../contracts/errors/chain.ts'
import type { Moment, OwnTime, Spent } from './own-time.ts'

/** The interval of checks, ms, once half of the limit has passed on the clock. */
const CHECK_MS = { least: 10, most: 1000 }
/** A step is over its limit only if it had a core for this share of it; otherwise the machine may have been slow. */
export const CORE_SHARE = 0.75
/** A step stands still if its helpers compute, and the event loop is busy, for smaller shares of its own time. */
const IDLE = { helpers: 0.02, loop: 0.5 }
/** After this many limits of own time a step is stopped, whatever the cause. */
const MAX_LIMITS = 4

interface Limits {
  /** The limit of the step's own time, ms. */
  readonly limitMs: number
  /** The limit of the time on the clock, ms. */
  readonly longestMs: number
}

/**
 * Why a step is stopped. `over`: it had its limit to itself, and computed. `idle`: it neither computed nor waited for a
 * store or a core. `unclear`: it computed a little, and what kept it is unknown. `longest`: it waited for as long as a
 * lease can be extended.
 */
export type StopReason = 'over' | 'idle' | 'unclear' | 'longest'

/**
 * Calls `stop` once a step has exceeded a limit since `began`. Time in which it waits for others is not its own, and
 * stopping it would only make it wait again. So the clock alone proves nothing: a step that has not computed goes on,
 * unless it stands still. The returned function ends the watch.
 */
export function hardLimit(
  own: OwnTime,
  began: Moment,
  { limitMs, longestMs }: Limits,
  stop: (why: StopReason) => void,
): () => void {
  let isIdle = false
  let mark = began
  const check = () => {
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
    const untilStop =
      ownMs < limitMs
        ? limitMs - ownMs
        : Math.min(CORE_SHARE * limitMs - coreMs, MAX_LIMITS * limitMs - ownMs)
    const left = Math.min(untilStop, limitMs / 2 - lately.ownMs, longestMs - wallMs)
    timer = setTimeout(check, Math.max(CHECK_MS.least, Math.min(CHECK_MS.most, left)))
  }
  let timer = setTimeout(check, Math.min(limitMs / 2, longestMs))
  return () => clearTimeout(timer)
}

/**
 * Whether nothing was computed. An event loop that is busy without a core may be kept waiting by the host of a virtual
 * machine, which no system reports; so a busy loop does not stand still.
 */
function standsStill({ ownMs, helpersMs, busyMs, isUnseen }: Spent): boolean {
  if (isUnseen) return false
  return helpersMs < IDLE.helpers * ownMs && busyMs < IDLE.loop * ownMs
}

/** Why a step took longer than its limit although it did not exceed it with its own time. */
interface Late {
  readonly code: DelayCode
  readonly sentence: string
}

/** A step that waited for less than this share of the time was not delayed by others. */
const KEPT_SHARE = 0.1

/**
 * What delayed a step: slow stores or a lack of cores. Undefined if it took less than its limit or was not delayed.
 * @param bytesRead The bytes that the step has read from all stores.
 */
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

/** The code and sentence for a step that was stopped for the reason `unclear`. */
export function unclear({ wallMs, coreMs }: Spent): Late {
  const words = `stopped after ${seconds(wallMs)}, of which it had a core for ${seconds(coreMs)}: something keeps it waiting`
  return { code: 'STARVED', sentence: words }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
