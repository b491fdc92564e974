import type { StepEvent } from '../../contracts/messages/event.ts'
import type { Database } from '../database.ts'
import { cutPage, pageSize } from '../pages.ts'
import { instant, uuid } from '../parameters.ts'
import { EVENT_COLUMNS, type EventRow, eventOf } from './event-columns.ts'

/** The position at which a page of a history ended. */
interface HistoryCursor {
  /** ISO 8601. */
  readonly at: string
  readonly id: string
}

interface HistoryPage {
  /** The events, latest first, without the requests of accepted jobs. */
  readonly events: readonly StepEvent[]
  /** Pass it as `before` to get the next page; absent on the last page. */
  readonly next?: HistoryCursor
}

/** The events of a track, latest first. `limit`: 1 to 1,000. */
export async function trackHistory(
  database: Database,
  assetGuid: string,
  { limit, before }: { readonly limit: number; readonly before?: HistoryCursor | undefined },
  signal?: AbortSignal,
): Promise<HistoryPage> {
  const size = pageSize(limit)
  if (assetGuid.includes('\0')) return { events: [] }
  const from = before ? [instant(before.at), uuid(before.id)] : [null, null]
  const values = [assetGuid, ...from, size + 1]
  const found = await database.query<EventRow>(HISTORY, values, signal)
  const { page: events, last } = cutPage(found.map(eventOf), size)
  if (last === undefined) return { events }
  return { events, next: { at: last.at, id: last.id } }
}

const HISTORY = {
  name: 'track-history',
  text: `
    select ${EVENT_COLUMNS}
    from event
    where track = $1 and ($2::timestamptz is null or (at, id) < ($2, $3::uuid))
    order by at desc, id desc
    limit $4`,
}
