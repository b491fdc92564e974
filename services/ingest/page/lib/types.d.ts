/** The responses of the API, as far as the page shows them. */

import type { State, WarningTold } from '#shared/contracts/api/job.ts'

export type {
  Letter,
  RequestTold,
  State,
  TrackLine,
  WarningTold,
} from '#shared/contracts/api/job.ts'

export interface Board {
  readonly at: string
  readonly tracks: { readonly waiting: number; readonly running: number }
  readonly steps: readonly StepLine[]
  readonly completions_per_minute: number
  readonly failures_last_hour: number
  readonly dead_letters_open: number
  readonly minutes: readonly Minute[]
}

export interface StepLine {
  readonly step: string
  readonly waiting: number | null
  readonly done_per_minute: number
  readonly failed_per_minute: number
  readonly p50_ms: number | null
  readonly p99_ms: number | null
}

export interface Minute {
  readonly at: string
  readonly made: number
  readonly failed: number
}

export interface Track {
  readonly asset_guid: string
  readonly title?: string
  readonly artist?: string
  readonly state?: State
  readonly request_id?: string
  readonly revision: string
  readonly master: {
    readonly uri: string
    readonly layout: string
    readonly samples: number
    readonly seconds: number
  }
  readonly warnings: readonly WarningTold[]
  readonly first_seen: string
  readonly assets: readonly TrackAsset[]
}

export interface TrackAsset {
  readonly asset: string
  readonly version: number
  readonly title?: string
  readonly state: 'made' | 'failed'
  readonly recorded: string
  readonly result?: unknown
  readonly files?: readonly AssetFile[]
  readonly code?: string
  readonly sentence?: string
  readonly remedy?: string
}

export interface AssetFile {
  readonly extension: string
  readonly type?: string
  readonly bytes: number
  readonly href: string
}

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

export interface StepEvent {
  readonly id: string
  readonly at: string
  readonly step: string
  readonly verdict: string
  readonly run?: number
  readonly job?: string
  readonly route?: string
  readonly attempt: number
  readonly units: readonly string[]
  readonly worker: string
  readonly ms: number
  readonly cpu_ms?: number
  readonly code?: string
  readonly sentence?: string
  readonly warnings?: readonly WarningTold[]
}

export interface Accepted {
  readonly request_id: string
  readonly asset_guid: string
  readonly replaces?: string
}

export interface Problem {
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly remedy?: string
}

/** A value that can be watched. */
export interface Watchable<T> {
  readonly value: T
  set(next: T): void
  /** Calls `onChange` at every change. Returns a function that stops it. */
  watch(onChange: (value: T) => void): () => void
}
