import type { Database } from '#shared/catalogue/database.ts'
import { cancellationsAfter } from '#shared/catalogue/jobs/read-cancellations.ts'
import { queryCatalogue } from '../http/query.ts'

/** How often the catalogue is asked while somebody waits, ms. */
const EVERY_MS = 1000
/** The most cancellations in one answer. A caller that gets that many asks for more. */
export const MAX_CANCELLATIONS = 10_000

type Page = Awaited<ReturnType<typeof cancellationsAfter>>

/** Cancellations for those who wait for them: one query a second for all, and none while nobody waits. */
export interface CancellationFeed {
  /** The cancellations after a number; waits up to `waitMs` for the first one. @throws HttpError UPSTREAM_DOWN */
  after(number: number, waitMs: number, gone: AbortSignal): Promise<Page>
  /** Looks at once, because something was cancelled here. */
  look(): void
  /** Answers everybody. */
  close(): void
}

export function cancellationFeed(database: Database): CancellationFeed {
  const waiting = new Set<{ readonly number: number; readonly answer: (page: Page) => void }>()
  let timer: NodeJS.Timeout | undefined
  let isClosed = false

  const read = (number: number) =>
    queryCatalogue((signal) => cancellationsAfter(database, number, MAX_CANCELLATIONS, signal))

  /** A catalogue that does not answer is asked again; a caller that waits gets an empty answer in the end. */
  async function lookForNews(): Promise<void> {
    const asked = [...waiting]
    const page = await read(Math.min(...asked.map(({ number }) => number))).catch(
      () => undefined,
    )
    if (page === undefined) return
    for (const { number, answer } of asked) {
      const news = page.cancellations.filter((each) => each.number > number)
      if (news.length > 0 || page.last < number) answer({ ...page, cancellations: news })
    }
  }

  function tick(ms = EVERY_MS): void {
    timer ??= setTimeout(async () => {
      if (waiting.size > 0) await lookForNews()
      timer = undefined
      if (waiting.size > 0 && !isClosed) tick()
    }, ms)
  }

  return {
    async after(number, waitMs, gone) {
      const now = await read(number)
      const isNews = now.cancellations.length > 0 || now.last < number
      if (isNews || waitMs === 0 || isClosed || gone.aborted) return now
      const { promise, resolve } = Promise.withResolvers<Page>()
      const one = { number, answer: resolve }
      const later = () => resolve(now)
      const late = setTimeout(later, waitMs)
      gone.addEventListener('abort', later, { once: true })
      waiting.add(one)
      tick()
      try {
        return await promise
      } finally {
        waiting.delete(one)
        clearTimeout(late)
        gone.removeEventListener('abort', later)
      }
    },
    look() {
      if (waiting.size > 0) void lookForNews()
    },
    close() {
      isClosed = true
      clearTimeout(timer)
      for (const { number, answer } of waiting) answer({ cancellations: [], last: number })
    },
  }
}
