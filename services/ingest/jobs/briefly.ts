import { type BatchOptions, batching } from '#shared/async/batch.ts'
import { sentence } from '#shared/contracts/errors/chain.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'

/** After a fault, and after a slow answer, the database is left alone for so long, ms. */
const REST_AFTER_FAULT_MS = 5000
const REST_AFTER_SLOW_MS = 500
/** Items that may be under way; what comes on top is not asked about. */
const MAX_PENDING = 5000

interface Patience extends BatchOptions {
  /** How long a caller waits, ms. */
  readonly withinMs: number
  /** What the log says of the times in which the database is left alone. */
  readonly resting: string
}

/**
 * Asks the database about items, many at once, for callers that can do without: jobs are taken while it is away.
 * Resolves with undefined when it does not answer within `withinMs`, has just failed to, or fails. Never throws.
 */
export function briefly<Item, Answer>(
  work: (items: readonly Item[], signal: AbortSignal) => Promise<readonly Answer[]>,
  log: Log,
  { withinMs, resting, ...batch }: Patience,
): (item: Item) => Promise<Answer | undefined> {
  const ask = batching<Item, Answer>(
    (items) => work(items, AbortSignal.timeout(REST_AFTER_FAULT_MS)),
    batch,
  )
  let pending = 0
  let restUntil = 0

  function rest(ms: number, why: string): void {
    const now = performance.now()
    if (now >= restUntil) log.warn({ error: why }, resting)
    restUntil = Math.max(restUntil, now + ms)
  }

  return async (item) => {
    if (performance.now() < restUntil || pending >= MAX_PENDING) return undefined
    pending++
    const answered = ask(item)
      .catch((error) => {
        rest(REST_AFTER_FAULT_MS, sentence(error))
        return undefined
      })
      .finally(() => pending--)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => {
        rest(REST_AFTER_SLOW_MS, `the database took over ${withinMs} ms`)
        resolve(undefined)
      }, withinMs)
    })
    const answer = await Promise.race([answered, late])
    clearTimeout(timer)
    return answer
  }
}
