import { setTimeout as sleep } from 'node:timers/promises'
import { openDatabase } from '#shared/catalogue/database.ts'
import { jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import { type Client, Refused } from '../client/client.ts'
import type { DrillTrack } from './make-tracks.ts'
import { type Random, seeded } from './random.ts'
import { retryDisturbed } from './retry-disturbed.ts'
import type { Witness } from './witness.ts'

/** What became of jobs that were cancelled. */
export interface Cancels {
  /** How many the API has cancelled. */
  readonly cancelled: number
  /** How many had ended before they could be cancelled. */
  readonly ended: number
  /** How many of the cancelled ones went on. */
  readonly wentOn: number
  /** A sentence for each of these. */
  readonly findings: readonly string[]
}

export const NO_CANCELS: Cancels = { cancelled: 0, ended: 0, wentOn: 0, findings: [] }

/** Jobs are cancelled within this time after they were submitted, ms: some wait then, and some are under way. */
const WITHIN_MS = 6_000

/** A job that came over the topic `ingest` is known to the API within this time, ms; else it is lost. */
const KNOWN_WITHIN_MS = 300_000

/** A job that was submitted to be cancelled. */
interface Asked {
  readonly track: DrillTrack
  /** Whether the API has cancelled it; false: it had ended. */
  readonly isCancelled: boolean
}

/** Cancels jobs that are submitted, each at a random moment. */
export function canceller(
  client: Client,
  seed: number,
): {
  /** Cancels the job of a track that has been submitted. */
  cancel(track: DrillTrack): Promise<Asked>
} {
  const random: Random = seeded(seed + 2)
  return {
    async cancel(track) {
      await sleep(random() * WITHIN_MS, undefined, { signal: client.signal })
      const path = `/v1/jobs/${encodeURIComponent(track.requestId)}/cancel`
      const began = Date.now()
      try {
        await retryDisturbed(async () => {
          try {
            await client.post(path, {})
          } catch (error) {
            const isUnknown = error instanceof Refused && error.status === 404
            if (!isUnknown || Date.now() - began > KNOWN_WITHIN_MS) throw error
            throw new Error('its message has not been read yet', { cause: error })
          }
        }, client.signal)
        return { track, isCancelled: true }
      } catch (error) {
        if (error instanceof Refused && error.status === 409)
          return { track, isCancelled: false }
        throw error
      }
    },
  }
}

/** Whether what was cancelled has stayed so: its job's row says it, nothing was announced, and there is no letter. */
export async function cancelsSeen(
  asked: readonly Asked[],
  dsn: string,
  seen: Pick<Witness, 'announced' | 'letters'>,
  signal: AbortSignal,
): Promise<Cancels> {
  const database = openDatabase({ dsn })
  const findings: string[] = []
  try {
    for (const { track, isCancelled } of asked) {
      const { guid, requestId } = track
      const [job] = await retryDisturbed(
        () => jobsOfRequest(database, requestId, signal),
        signal,
      )
      const state = job?.state ?? 'not recorded'
      const isAnnounced = seen.announced.has(guid)
      const letters = seen.letters.get(guid)?.size ?? 0
      const isRight = isCancelled ? state === 'cancelled' && !isAnnounced : isAnnounced
      if (isRight && letters === 0) continue
      const answer = isCancelled ? 'was cancelled' : 'had ended when it was to be cancelled'
      const said = isAnnounced ? 'announced' : 'not announced'
      findings.push(`${guid} ${answer}, and is ${state}, ${said}, with ${letters} dead letters`)
    }
  } finally {
    await database.close()
  }
  const cancelled = asked.filter(({ isCancelled }) => isCancelled).length
  return { cancelled, ended: asked.length - cancelled, wentOn: findings.length, findings }
}
