import { PermanentError, sentence } from '#shared/contracts/errors/chain.ts'
import { type EventSink, newEvent } from '#shared/frame/events.ts'
import { Unavailable } from '../http/problem.ts'
import type { Uploads } from './uploads.ts'

/** An upload that is about to get its name. */
interface Arriving {
  readonly guid: string
  readonly sha256: string
  /** Who sends it, for the history. */
  readonly by: string
  /** False: refuse it where the track has other content. */
  readonly mayReplace?: boolean | undefined
  /** False: it is only announced, and its bytes come here: the history is told when they have. */
  readonly isPast?: boolean
  readonly signal?: AbortSignal | undefined
}

export interface Replacing {
  /**
   * Before an upload gets its name: the sha256 of what has been the latest upload of its track, where that is other
   * content; the track's history says so then.
   * @throws PermanentError OTHER_CONTENT; Unavailable when Pub/Sub does not take the event: nothing was kept then.
   */
  check(upload: Arriving): Promise<string | undefined>
}

/** Says aloud when a track gets other content than before. What was there stays: nothing is overwritten. */
export function replacing(uploads: Pick<Uploads, 'latest'>, events: EventSink): Replacing {
  return {
    async check({ guid, sha256, by, mayReplace = true, isPast = true, signal }) {
      const latest = await uploads.latest(guid, signal)
      if (latest === undefined || latest === sha256) return undefined
      if (!mayReplace) {
        throw new PermanentError(
          'OTHER_CONTENT',
          `The track ${guid} has other content: the sha256 of its latest upload is ${latest}, and of this one ${sha256}. Nothing was kept.`,
          { at: '/replace' },
        )
      }
      if (!isPast) return latest
      const words = `${by === '' ? 'an upload' : `an upload by ${by}`}, sha256 ${sha256}, replaces other content, sha256 ${latest}`
      const event = { ...newEvent('ingest', 1), track: guid, verdict: 'replaced', ms: 0 }
      try {
        await events.report({ ...event, units: [], code: 'OTHER_CONTENT', sentence: words })
      } catch (error) {
        throw new Unavailable(
          `Pub/Sub did not take the event of the new content: ${sentence(error)}`,
          { cause: error },
        )
      }
      return latest
    },
  }
}
