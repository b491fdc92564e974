import { backOff } from '../async/retry.ts'
import { Cancellations as Answer, KEPT_DAYS } from '../contracts/api/cancellation.ts'
import { sentence } from '../contracts/errors/sentence.ts'
import type { Envelope } from '../contracts/messages/run.ts'
import { canonicalRequestId } from '../contracts/names.ts'
import { compile } from '../contracts/validator.ts'
import type { Log } from './telemetry/log.ts'

/** What a run has to say so that it can be cancelled. */
export type CancellableRun = Omit<Envelope, 'restarts'>

/** A cancellation as ingest tells it. */
type Entry = Answer['cancellations'][number]

/** How long a question waits at ingest for news, s. */
const WAIT_SECONDS = 25
/** A question without an answer is given up after this, ms. */
const ANSWER_MS = (WAIT_SECONDS + 10) * 1000
/** Between questions that fail, ms. */
const PAUSE = { firstMs: 1000, mostMs: 5000, ref: false }
/** The number of questions in a row that fail before that is logged: ingest may start, or be replaced, at the same moment. */
const FAILS_LOGGED = 3
const KEPT_MS = KEPT_DAYS * 86_400_000

/**
 * The cancellations that this process knows, in memory. The rule, which is the same everywhere: a run is cancelled when
 * its job was accepted at or before the moment of a cancellation of its job, its request or its release.
 */
export class Cancellations {
  /** By kind and id: the latest moment, ms since 1970. */
  readonly #until = new Map<string, number>()
  readonly #watched = new Set<{ run: CancellableRun; act: () => void }>()

  /** Adds cancellations, and calls back for the watched runs that they concern. */
  add(entries: readonly Entry[]): void {
    for (const { kind, id, before } of entries) {
      const key = keyOf(kind, id)
      this.#until.set(key, Math.max(this.#until.get(key) ?? 0, Date.parse(before)))
    }
    if (entries.length === 0) return
    for (const watched of this.#watched) this.#tell(watched)
  }

  isCancelled({ job, request, accepted }: CancellableRun): boolean {
    const at = Date.parse(accepted)
    const { request_id, release_id } = request
    const keys = [keyOf('job', job), keyOf('request', canonicalRequestId(request_id))]
    if (release_id !== undefined) keys.push(keyOf('release', `${release_id}`))
    return keys.some((key) => at <= (this.#until.get(key) ?? Number.NEGATIVE_INFINITY))
  }

  /** Calls `act` once when the run is cancelled, at once if it is. The returned function ends the watch. */
  whenCancelled(run: CancellableRun, act: () => void): () => void {
    const watched = { run, act }
    this.#watched.add(watched)
    this.#tell(watched)
    return () => void this.#watched.delete(watched)
  }

  /** Forgets cancellations that no message in Pub/Sub can be older than. `now`: ms since 1970. */
  forget(now = Date.now()): void {
    for (const [key, until] of this.#until) if (until < now - KEPT_MS) this.#until.delete(key)
  }

  #tell(watched: { run: CancellableRun; act: () => void }): void {
    if (!this.#watched.has(watched) || !this.isCancelled(watched.run)) return
    this.#watched.delete(watched)
    watched.act()
  }
}

function keyOf(kind: string, id: string): string {
  return `${kind} ${id}`
}

const checkAnswer = compile<Answer>(Answer, 'the answer', (words) => new Error(words))

/**
 * Asks ingest for cancellations until `stopping` aborts. Nothing waits for it: while ingest does not answer, work goes
 * on, and what was cancelled is found out later.
 */
export async function followCancellations(
  known: Cancellations,
  {
    url,
    token,
    log,
    stopping,
  }: { url: string; token: string; log: Log; stopping: AbortSignal },
): Promise<void> {
  const pause = backOff(PAUSE)
  let fails = 0
  for (let after = 0; !stopping.aborted; ) {
    const began = performance.now()
    try {
      const { cancellations, last } = await ask(url, after, token, stopping)
      known.add(cancellations)
      known.forget()
      if (fails >= FAILS_LOGGED) log.info({ ingest: url }, 'cancellations are known again')
      fails = 0
      pause.reset()
      // The catalogue was restored, and counts from an earlier number.
      after = last < after ? 0 : (cancellations.at(-1)?.number ?? after)
      // Ingest is stopping, or something in between does not let questions wait.
      if (cancellations.length === 0 && performance.now() - began < PAUSE.firstMs)
        await pause.wait(stopping).catch(() => {})
    } catch (error) {
      if (stopping.aborted) return
      const line = { ingest: url, error: sentence(error) }
      if (++fails === FAILS_LOGGED)
        log.warn(line, 'cancellations are not known: ingest does not answer')
      await pause.wait(stopping).catch(() => {})
    }
  }
}

async function ask(
  url: string,
  after: number,
  token: string,
  stopping: AbortSignal,
): Promise<Answer> {
  const at = new URL(`/v1/cancellations?after=${after}&wait=${WAIT_SECONDS}`, url)
  const response = await fetch(at, {
    headers: token === '' ? {} : { authorization: `Bearer ${token}` },
    signal: AbortSignal.any([stopping, AbortSignal.timeout(ANSWER_MS)]),
    redirect: 'error',
  })
  if (response.ok) return checkAnswer(await response.json())
  await response.body?.cancel()
  throw new Error(`${at.origin} answers ${response.status}`)
}
