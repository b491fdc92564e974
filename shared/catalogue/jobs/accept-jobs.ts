import { atOnce, type Database } from '../database.ts'
import { type Acceptance, type JobRow, newJob, withAcceptance } from './job-row.ts'
import { insertJobs, lockJobs, readJobs, updateJobs } from './job-table.ts'

/**
 * Records jobs that are most likely new. An existing job gets the assets that it does not have yet, and is opened again
 * by them and by a higher run. Anything else changes nothing.
 */
export async function acceptJobs(
  database: Database,
  messages: readonly Acceptance[],
  signal?: AbortSignal,
): Promise<void> {
  if (messages.length === 0) return
  const query = atOnce(database, signal)
  const inserted = await insertJobs(query, [...heard(new Map(), messages).values()])
  const rest = messages.filter(({ job }) => !inserted.has(job))
  await acceptAgain(database, rest, signal)
}

/** Records jobs that most likely exist already. Those that do, with nothing new, are not locked. */
export async function acceptAgain(
  database: Database,
  messages: readonly Acceptance[],
  signal?: AbortSignal,
): Promise<void> {
  if (messages.length === 0) return
  const known = await readJobs(atOnce(database, signal), jobsOf(messages))
  await acceptJobs(
    database,
    messages.filter(({ job }) => !known.has(job)),
    signal,
  )
  const news = messages.filter((message) => {
    const found = known.get(message.job)
    return found !== undefined && withAcceptance(found.row, message) !== found.row
  })
  if (news.length === 0) return
  await database.transaction(async (query) => {
    const locked = await lockJobs(query, jobsOf(news))
    const before = new Map([...locked].map(([job, { row }]) => [job, row]))
    const after = heard(before, news)
    await updateJobs(
      query,
      [...after.values()].filter((row) => row !== before.get(row.job)),
    )
  }, signal)
}

/** The rows after all messages have been applied, in their order. */
function heard(
  before: ReadonlyMap<string, JobRow>,
  messages: readonly Acceptance[],
): Map<string, JobRow> {
  const rows = new Map(before)
  for (const message of messages) {
    const row = rows.get(message.job)
    rows.set(message.job, row === undefined ? newJob(message) : withAcceptance(row, message))
  }
  return rows
}

function jobsOf(messages: readonly Acceptance[]): Set<string> {
  return new Set(messages.map(({ job }) => job))
}
