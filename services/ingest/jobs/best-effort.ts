import { type BatchOptions, batching } from '#shared/async/batch.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'

/** After an error, and after a slow answer, the database is not queried for this time, ms. */
const REST_AFTER_FAULT_MS = 5000
const REST_AFTER_SLOW_MS = 500
/** Maximum number of items under way. Beyond that, items resolve to undefined at once. */
const MAX_PENDING = 5000

interface Patience extends BatchOptions {
  /** Maximum time that a caller waits, ms. */
  readonly withinMs: number
  /** The message that is logged when queries are suspended. */
  readonly whenSuspended: string
}

/**
 * Queries the database about items, many at once, for callers that can continue without an answer, so that jobs
 * are accepted while the database is away. The function that it returns resolves to undefined if the database
 * fails, does not answer within `withinMs`, or did so a moment ago. It never throws.
 */
export function bestEffort<Item, Answer>(
  work: (items: readonly Item[], signal: AbortSignal) => Promise<readonly Answer[]>,
  log: Log,
  { withinMs, whenSuspended, ...batch }: Patience,
): (item: Item) => Promise<Answer | undefined> {
  const ask = batching<Item, Answer>(
    (items) => work(items, AbortSignal.timeout(REST_AFTER_FAULT_MS)),
    batch,
  )
  let pending = 0
  let restUntil = 0

  function rest(ms: number, why: string): void {
    const now = performance.now()
    if (now >= restUntil) log.warn({ error: why }, whenSuspended)
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
