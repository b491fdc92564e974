import { HttpError } from '#shared/contracts/errors/http.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { type EventSink, newEvent } from '#shared/frame/events.ts'
import type { Uploads } from './uploads.ts'

/** An upload that is about to get its name. */
interface Arriving {
  readonly guid: string
  readonly sha256: string
  /** The sender of the upload, for the history. */
  readonly by: string
  /** False: refuse the upload if the track has other content. Default: true. */
  readonly mayReplace?: boolean | undefined
  /**
   * False: the upload is only announced. Nothing is reported now, because it is reported when the bytes arrive
   * here. Default: true.
   */
  readonly isPast?: boolean
  readonly signal?: AbortSignal | undefined
}

export interface Replacements {
  /**
   * Checks an upload before it gets its name. If the latest upload of its track has other content, this reports
   * a `replaced` event and resolves to the sha256 of that content; otherwise it resolves to undefined.
   * @throws HttpError OTHER_CONTENT when the upload may not replace other content; UPSTREAM_DOWN when
   * Pub/Sub does not accept the event. In both cases nothing was kept
   */
  check(upload: Arriving): Promise<string | undefined>
}

/** Reports when a track gets other content than before. The earlier upload stays: nothing is overwritten. */
export function replacements(
  uploads: Pick<Uploads, 'latest'>,
  events: EventSink,
): Replacements {
  return {
    async check({ guid, sha256, by, mayReplace = true, isPast = true, signal }) {
      const latest = await uploads.latest(guid, signal)
      if (latest === undefined || latest === sha256) return undefined
      if (!mayReplace) {
        throw new HttpError(
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
        throw new HttpError(
          'UPSTREAM_DOWN',
          `Pub/Sub did not take the event of the new content: ${sentence(error)}`,
          { cause: error },
        )
      }
      return latest
    },
  }
}
