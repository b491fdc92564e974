import type { DeadLetter } from '../../frame/dead-letter.ts'
import type { Database } from '../database.ts'
import { clipped, instant, rows, whole } from '../parameters.ts'

/** Stores a letter once, even if it is delivered several times. @returns whether it was new */
export async function keepLetter(
  database: Database,
  letter: DeadLetter,
  signal?: AbortSignal,
): Promise<boolean> {
  const { id, message, published, step, code, reason, attempt, job, attributes, body } = letter
  const facts = {
    id,
    message: clipped(message, 128),
    published_at: published.toISOString(),
    step: clipped(step, 64),
    code: clipped(code, 64),
    reason,
    attempt: whole(attempt),
    ...(job && { job: job.id, run: whole(job.run), request: job.request }),
    ...(job?.accepted && { accepted_at: instant(job.accepted) }),
  }
  // The attributes are a separate parameter: as `json` the database keeps them unchanged.
  const values = [rows([facts]), body, JSON.stringify(attributes)]
  const kept = await database.query(KEEP, values, signal)
  return kept.length > 0
}

const KEEP = {
  name: 'letter-keep',
  text: `
    insert into dead_letter (id, message, published_at, step, code, reason, attempt, job, run,
      accepted_at, request, body, attributes)
    select id, message, published_at, step, code, reason, attempt, job, run,
      accepted_at, request, $2, $3
    from json_to_recordset($1) as r (id text, message text, published_at timestamptz, step text,
      code text, reason text, attempt bigint, job text, run bigint, accepted_at timestamptz,
      request jsonb)
    on conflict (id) do nothing
    returning id`,
}
