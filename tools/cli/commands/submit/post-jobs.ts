import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { trackOf } from '#shared/contracts/names.ts'
import type { UncheckedJob } from '#shared/jobs/csv-jobs.ts'
import type { Client } from '../../../client/client.ts'

/** The result of a submitted job. */
export type Posted = { readonly from: string; readonly asset_guid: string | undefined } & (
  | {
      readonly request_id: string
      /** The sha256 of the other content that its track had before. */
      readonly replaces?: string
      readonly code?: never
    }
  | { readonly code: string; readonly detail: string; readonly replaces?: never }
)

export interface Posting {
  /**
   * Accepts a job; waits while many are under way. @throws when the API does not answer.
   * @param replaces sha256 of the content that the job's file replaces; it is part of the result
   */
  add(job: UncheckedJob, from: string, replaces?: string): Promise<void>
  /** Resolves when all are posted. @throws when the API does not answer. */
  end(): Promise<void>
}

/** The most jobs in a batch, and in a request. */
const MOST = 200
/** A batch is posted when no other job arrives within this time, ms. */
const GATHER_MS = 50
/** How often a line that the API has received but not answered is posted, at most. */
const TRIES = 5

interface Line {
  readonly job: UncheckedJob
  readonly from: string
  readonly replaces: string | undefined
}

/**
 * Posts jobs in batches, in order, at most `rate` a second. A job without a request gets one that it shares with up to
 * 200 others, and never with another of the same track. Each has one before it is posted, so that posting a batch again,
 * whatever became of it, repeats nothing.
 */
export function posting(
  client: Client,
  { rate, onPosted }: { readonly rate: number; readonly onPosted: (posted: Posted) => void },
): Posting {
  const most = Math.max(1, Math.min(MOST, Math.floor(rate)))
  const inRequest = requests()
  let waiting: Line[] = []
  let work: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  let free = 0

  function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const batch = waiting
    waiting = []
    if (batch.length === 0) return work
    work = work.then(async () => {
      await sleep(Math.max(0, free - performance.now()), undefined, { signal: client.signal })
      free = performance.now() + (1000 * batch.length) / rate
      for (const posted of await post(client, batch)) onPosted(posted)
    })
    // The next call of `add` or `end` rejects with it.
    work.catch(() => {})
    return work
  }

  return {
    async add(job, from, replaces) {
      waiting.push({ job: inRequest(job), from, replaces })
      if (waiting.length >= most) await flush()
      else timer ??= setTimeout(flush, GATHER_MS)
    },
    end: flush,
  }
}

/** Gives each job a request. */
function requests(): (job: UncheckedJob) => UncheckedJob {
  let id = ''
  let tracks = new Set<unknown>()
  return (job) => {
    if (job.request_id !== undefined) return job
    const track = trackOf(job)
    if (id === '' || tracks.size >= MOST || tracks.has(track)) {
      id = randomUUID()
      tracks = new Set()
    }
    tracks.add(track)
    return { request_id: id, ...job }
  }
}

interface Answer {
  readonly line: number | null
  readonly status: number
  readonly request_id?: string
  readonly asset_guid?: string
  readonly code?: string
  readonly detail?: string
}

async function post(client: Client, batch: readonly Line[]): Promise<Posted[]> {
  const posted: Posted[] = []
  let left = batch
  let why = 'no answer'
  for (let tried = 1; left.length > 0; tried++) {
    const body = left.map(({ job }) => `${JSON.stringify(job)}\n`).join('')
    const lines = (await client.submitLines(body)).split('\n').filter((line) => line !== '')
    const answers = lines.map((line) => JSON.parse(line) as Answer)
    const of = new Map(answers.map((answer) => [answer.line, answer]))
    why = of.get(null)?.detail ?? why
    const again: Line[] = []
    for (const [index, line] of left.entries()) {
      const answer = of.get(index + 1)
      if (answer !== undefined && answer.status < 500) posted.push(postedAs(line, answer))
      else {
        why = answer?.detail ?? why
        again.push(line)
      }
    }
    left = again
    if (left.length > 0 && tried >= TRIES) throw new Error(`jobs were not taken: ${why}`)
    if (left.length > 0) await sleep(1000, undefined, { signal: client.signal })
  }
  return posted
}

function postedAs(
  { job, from, replaces }: Line,
  { status, code, detail, ...answer }: Answer,
): Posted {
  const about = { from, asset_guid: answer.asset_guid ?? trackOf(job) }
  const other = replaces === undefined ? {} : { replaces }
  return status === 202
    ? { ...about, request_id: String(answer.request_id), ...other }
    : { ...about, code: String(code), detail: String(detail) }
}
