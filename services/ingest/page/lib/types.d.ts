/** The responses of the API, as far as the page shows them. */

import type { Board } from '#shared/contracts/api/board.ts'
import type { Stale } from '#shared/contracts/api/stale.ts'
import type { TrackDetail } from '#shared/contracts/api/track.ts'

export type { Board, BoardMinute } from '#shared/contracts/api/board.ts'
export type { Campaign, CampaignPage } from '#shared/contracts/api/campaign.ts'
export type { DeadLetter, DeadLetterPage } from '#shared/contracts/api/dead-letter.ts'
export type { HistoryEvent, HistoryPage } from '#shared/contracts/api/history.ts'
export type { JobRequest } from '#shared/contracts/api/job.ts'
export type { Problem } from '#shared/contracts/api/problem.ts'
export type { Release, ReleaseDetail, ReleasePage } from '#shared/contracts/api/release.ts'
export type { Stale } from '#shared/contracts/api/stale.ts'
export type { Accepted } from '#shared/contracts/api/submission.ts'
export type {
  AssetLink,
  TrackDetail,
  TrackLine,
  TrackPage,
} from '#shared/contracts/api/track.ts'
export type { Warning } from '#shared/contracts/api/warning.ts'

export type BoardStep = Board['steps'][number]
export type StaleAsset = Stale['assets'][number]

type TrackAsset = TrackDetail['assets'][number]
export type MadeTrackAsset = Extract<TrackAsset, { state: 'made' }>
export type FailedTrackAsset = Extract<TrackAsset, { state: 'failed' }>

/** The result of `bpm`. Seconds and milliseconds count from the start of the track. */
export interface Tempo {
  readonly bpm: number | null
  readonly reason?: string
  readonly confidence?: number
  /** The error of `bpm` due to the track's length, BPM. */
  readonly bpmError?: number
  readonly steady?: boolean
  readonly firstBeatMs?: number | null
  readonly tempoOverTime?: readonly {
    from: number
    to: number
    bpm: number
    confidence?: number
  }[]
}

export interface Key {
  readonly key: string | null
  readonly camelot?: string | null
  readonly openKey?: string | null
  readonly reason?: string
  readonly confidence?: number
  readonly tuningHz?: number | null
  readonly keyOverTime?: readonly {
    from: number
    to: number
    key: string
    camelot: string
    confidence?: number
  }[]
}

export interface Loudness {
  readonly integrated: number | null
  readonly range: number | null
  readonly truePeak: number | null
  readonly reason?: string
}

export interface Waveform {
  readonly sample_rate: number
  readonly samples_per_pixel: number
  readonly length: number
  /** Minimum and maximum of each point, alternating, −128 to 127. */
  readonly data: readonly number[]
}

/** A value that can be watched. */
export interface Watchable<T> {
  readonly value: T
  set(next: T): void
  /** Calls `onChange` at every change. Returns a function that stops it. */
  watch(onChange: (value: T) => void): () => void
}
