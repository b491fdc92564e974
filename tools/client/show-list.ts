import { jsonLine, type Output } from '../terminal/output.ts'
import { printable } from '../terminal/text.ts'
import { Refused } from './client.ts'
import type { Api } from './target.ts'

/** Items in one response. */
const PAGE = 1000
/** The most that `--limit` may be. */
export const MAX_LISTED = 100_000_000

interface List<Page, Item> {
  /** The address without `limit`. */
  readonly path: string
  readonly query: URLSearchParams
  /** The maximum of items. */
  readonly most: number
  /** Whether each item is a line of JSON, printed as it comes. */
  readonly json: boolean
  readonly itemsOf: (page: Page) => readonly Item[]
  /** A table of items. */
  readonly textOf: (items: readonly Item[]) => string
  /** What is said where there are none. */
  readonly none: string
  /** What explains the table, if anything has to. */
  readonly legendOf?: (items: readonly Item[]) => string | undefined
}

/**
 * Prints a list of the API, page by page.
 * @returns the exit code: 1 when the API refuses. @throws Error when it does not answer
 */
export async function showList<Page extends { readonly next: string | null }, Item>(
  api: Api,
  { path, query, most, json, itemsOf, textOf, none, legendOf }: List<Page, Item>,
  { say, note, gone }: Pick<Output, 'say' | 'note' | 'gone'>,
): Promise<number> {
  query.set('limit', `${Math.min(most, PAGE)}`)
  const items: Item[] = []
  let shown = 0
  let next: string | null = `${path}?${query}`
  try {
    while (next !== null && shown < most && !gone.aborted) {
      const page: Page = await api(next)
      const wanted = itemsOf(page).slice(0, most - shown)
      shown += wanted.length
      next = page.next
      if (!json) items.push(...wanted)
      else if (wanted.length > 0) say(wanted.map(jsonLine).join('\n'))
    }
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    note(printable(error.message))
    return 1
  }
  if (json) return 0
  say(shown === 0 ? none : textOf(items))
  const legend = legendOf?.(items)
  if (legend !== undefined) note(legend)
  if (next !== null) note(`There are more: --limit shows more than ${most}.`)
  return 0
}
