import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus } from '#shared/bus/bus.ts'
import type { Database } from '#shared/catalogue/database.ts'
import { earlierJobs } from '#shared/catalogue/jobs/read-cancellations.ts'
import {
  claimLetter,
  nextLetters,
  releaseLetter,
  settleLetter,
} from '#shared/catalogue/letters/claim-letters.ts'
import type { KeptLetter, LetterFilter } from '#shared/catalogue/letters/letter.ts'
import { findLetter } from '#shared/catalogue/letters/read-letters.ts'
import { PermanentError, type VerdictCode } from '#shared/contracts/errors/chain.ts'
import { type HttpCode, HttpError } from '#shared/contracts/errors/http.ts'
import { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import { uuidFrom } from '#shared/contracts/names.ts'
import { type EventSink, newEvent } from '#shared/frame/events.ts'
import { type Send, send } from '#shared/frame/step.ts'

/** The result for one letter. */
export type Redriven = { readonly id: string } & (
  | {
      /** `redrivable`: a preview found that the letter can be redriven. */
      readonly status: 'redriven' | 'redrivable'
      readonly run: number
      readonly letter: KeptLetter
    }
  | {
      readonly status: 'refused'
      readonly code: HttpCode | VerdictCode
      readonly detail: string
    }
)

interface Pace {
  /** Maximum number of letters per second. */
  readonly rate: number
  readonly limit: number
  /** No letter is started after this time, ms, so that the response comes while the client still waits for it. */
  readonly mostMs: number
  readonly signal: AbortSignal
}

/**
 * Letters by their ids, in this order; or the open letters that have a job and match a filter, the oldest
 * first.
 */
export type Which = { readonly ids: readonly string[] } | { readonly filter: LetterFilter }

export interface LetterActions {
  /** Redrives letters. Letters that `pace` leaves for later have no result. */
  redrive(which: Which, by: string, pace: Pace): Promise<readonly Redriven[]>
  /** Reports what a redrive would do, and changes nothing. */
  preview(which: Which, limit: number): Promise<readonly Redriven[]>
  /** Discards a letter. @throws HttpError NOT_FOUND, LETTER_TAKEN */
  discard(id: string, reason: string, by: string): Promise<void>
}

/**
 * The actions of an operator on dead letters. A letter is claimed, acted on and reported, and only then
 * settled. After a crash in between, the letter is open again, and repeating the action sends the same run of
 * the same job.
 */
export function letterActions({
  bus,
  events,
  database,
}: {
  bus: Bus
  events: EventSink
  database: Database
}): LetterActions {
  async function redrive(letter: KeptLetter, by: string): Promise<Redriven> {
    const { id, job, code } = letter
    if (job === null) {
      await releaseLetter(database, id)
      return notRedrivable(id)
    }
    const { run, accepted } = await nextRun(database, job)
    const message = again(job, run, accepted)
    // The letter keeps its claim for a while, so that a filter continues with the other letters.
    if (message instanceof PermanentError) return refused(id, message)
    const { topic, data, attributes } = message
    await orReleased(letter, async () => {
      await bus.publish(topic, { data, attributes })
      const words = `${code} of run ${job.run}: redriven as run ${run} by ${by}`
      await events.report(operated(letter, 'redriven', words))
      await settleLetter(database, id, { by, run, reason: null })
    })
    return { id, status: 'redriven', run, letter }
  }

  /** Acts on a claimed letter, and releases the claim if that fails. */
  async function orReleased({ id }: KeptLetter, act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      // If this fails too, the claim expires by itself.
      await releaseLetter(database, id).catch(() => {})
      throw error
    }
  }

  async function previewed(id: string, letter: KeptLetter | undefined): Promise<Redriven> {
    if (letter?.state !== 'open') return refused(id, taken(id, letter))
    if (letter.job === null) return notRedrivable(id)
    const { run } = await nextRun(database, letter.job)
    return { id, status: 'redrivable', run, letter }
  }

  /** The reason why a letter could not be claimed. */
  async function refusal(id: string): Promise<HttpError> {
    return taken(id, await findLetter(database, id))
  }

  return {
    redrive(which, by, pace) {
      if ('ids' in which) {
        return paced(pace, which.ids, async (id) => {
          const letter = await claimLetter(database, id)
          return letter === undefined ? refused(id, await refusal(id)) : redrive(letter, by)
        })
      }
      return paced(pace, Array(pace.limit).fill(which.filter), async (filter) => {
        const letter = await claimLetter(database, filter)
        return letter && redrive(letter, by)
      })
    },

    async preview(which, limit) {
      if ('filter' in which) {
        const letters = await nextLetters(database, which.filter, limit)
        return await inTurn(letters, (letter) => previewed(letter.id, letter))
      }
      // One at a time, because each letter comes with its whole message.
      return await inTurn(which.ids.slice(0, limit), async (id) =>
        previewed(id, await findLetter(database, id)),
      )
    },

    async discard(id, reason, by) {
      const letter = await claimLetter(database, id)
      if (letter === undefined) throw await refusal(id)
      await orReleased(letter, async () => {
        const words = `${letter.code}: discarded by ${by}: ${reason}`
        await events.report(operated(letter, 'discarded', words))
        await settleLetter(database, id, { by, run: null, reason })
      })
    },
  }
}

async function inTurn<Item, Result>(
  items: readonly Item[],
  act: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = []
  for (const item of items) results.push(await act(item))
  return results
}

/**
 * The number of the next run, and when it counts as accepted. The number depends on the letter alone, so that repeating
 * a redrive asks for the same run, unless the job was cancelled: then it is asked for again, as a run that no other has
 * been.
 */
async function nextRun(
  database: Database,
  { id, run, accepted, request }: NonNullable<KeptLetter['job']>,
): Promise<{ readonly run: number; readonly accepted: Date | null }> {
  const earlier = (await earlierJobs(database, [{ job: id, request }])).get(id)
  const cancelled = earlier?.cancelled ?? null
  if (cancelled === null || (accepted !== null && accepted > cancelled))
    return { run: run + 1, accepted }
  const highest = earlier?.isCancelled ? Math.max(run, earlier.run) : run
  const now = new Date(Math.max(Date.now(), cancelled.getTime() + 1))
  return { run: highest + 1, accepted: now }
}

/**
 * The message for the next run of the job. The time of the first acceptance stays, since it decides which job
 * is the latest.
 */
function again(
  { request }: NonNullable<KeptLetter['job']>,
  run: number,
  accepted: Date | null,
): Send | PermanentError {
  const since = accepted === null ? {} : { accepted: accepted.toISOString() }
  try {
    return send('ingest', EncodeJob, request, { run: String(run), ...since })
  } catch (error) {
    if (error instanceof PermanentError) return error
    throw error
  }
}

function notRedrivable(id: string): Redriven {
  const words = `There is no job in the letter ${id}; it can be looked at and discarded.`
  return refused(id, new HttpError('NOT_REDRIVABLE', words))
}

function refused(id: string, { code, message: detail }: HttpError | PermanentError): Redriven {
  return { id, status: 'refused', code, detail }
}

/** The error for a letter that cannot be claimed. */
function taken(id: string, letter: KeptLetter | undefined): HttpError {
  if (letter === undefined) {
    return new HttpError('NOT_FOUND', `There is no dead letter ${id}.`, { at: '/id' })
  }
  const { settled, state } = letter
  const as = settled?.run == null ? '' : ` as run ${settled.run}`
  const what =
    settled === null
      ? 'another request is redriving or discarding it right now'
      : `it was ${state} by ${settled.by} at ${settled.at.toISOString()}${as}`
  return new HttpError('LETTER_TAKEN', `The letter ${id}: ${what}.`)
}

/**
 * Acts on one item after the other, at most `rate` per second, until an item has no result, `limit` is reached
 * or `mostMs` has passed.
 */
async function paced<Item, Result>(
  { rate, limit, mostMs, signal }: Pace,
  items: readonly Item[],
  act: (item: Item) => Promise<Result | undefined>,
): Promise<readonly Result[]> {
  const began = performance.now()
  const results: Result[] = []
  for (const item of items.slice(0, limit)) {
    // The time until this item is due.
    const waitMs = began + (results.length * 1000) / rate - performance.now()
    if (performance.now() + waitMs - began > mostMs) break
    if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => {})
    if (signal.aborted) break
    const result = await act(item)
    if (result === undefined) break
    results.push(result)
  }
  return results
}

/** The event of an action on a letter. Its id is the same if the action is repeated. */
function operated(letter: KeptLetter, verdict: string, words: string): StepEvent {
  const { id, job, attempt, code } = letter
  return {
    ...newEvent('operator', attempt),
    id: uuidFrom(`${verdict}:${id}`),
    ...(job && { job: job.id, track: job.request.asset_guid, run: job.run }),
    verdict,
    units: [],
    ms: 0,
    code,
    sentence: words.slice(0, 2000),
  }
}
