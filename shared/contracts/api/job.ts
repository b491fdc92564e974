/** What the API tells, as far as the commands and the page show it. */

/** What a job is at, or a track by its latest job; nothing follows the last three. */
type State = 'accepted' | 'running' | 'done' | 'partial' | 'failed'

/** GET /v1/jobs/{request_id}. */
export interface RequestTold {
  readonly request_id: string
  readonly state: State
  readonly percent: number
  readonly jobs: readonly JobTold[]
}

export interface JobTold {
  readonly asset_guid: string
  readonly state: State
  /** 0 to 100; 100 only when it has ended. */
  readonly percent: number
  readonly run: number
  readonly route: string
  /** Whether a dead letter about it is open. */
  readonly dead_lettered: boolean
  /** ISO 8601. */
  readonly accepted: string
  readonly ended: string | null
  readonly warnings: readonly WarningTold[]
  readonly assets: readonly AssetTold[]
}

/** Something that is missing or wrong in a master that was accepted all the same. */
export interface WarningTold {
  readonly code: string
  readonly sentence: string
  readonly promised_seconds?: number
  readonly present_seconds?: number
  readonly remedy?: string
}

export interface AssetTold {
  readonly asset: string
  readonly state: string
  readonly version?: number
  readonly result?: unknown
  readonly code?: string
  readonly sentence?: string
  readonly remedy?: string
  readonly units_done?: number
  readonly units?: number
}

/** GET /v1/tracks/{asset_guid}. */
export interface TrackTold {
  readonly asset_guid: string
  readonly state?: string
  readonly request_id?: string
  readonly dead_lettered?: boolean
  readonly title?: string
  readonly artist?: string
  readonly revision: string
  readonly master: { readonly uri: string; readonly seconds: number; readonly layout: string }
  readonly warnings: readonly WarningTold[]
  readonly assets: readonly AssetTold[]
}

/** GET /v1/tracks/{asset_guid}/history. */
export interface EventTold {
  readonly at: string
  readonly step: string
  readonly verdict: string
  readonly run?: number
  readonly attempt?: number
  readonly ms?: number
  readonly code?: string
  readonly sentence?: string
  readonly warnings?: readonly WarningTold[]
}

/** A track of GET /v1/tracks and GET /v1/live. */
export interface TrackLine {
  readonly asset_guid: string
  readonly title?: string
  readonly artist?: string
  readonly state: State
  readonly seconds?: number
  readonly bpm?: number
  /** 0 to 1. */
  readonly bpm_confidence?: number
  /** What `bpm` may be off by for want of length. */
  readonly bpm_error?: number
  readonly key?: string
  /** 0 to 1. */
  readonly key_confidence?: number
  readonly camelot?: string
  readonly loudness_lufs?: number
  /** Codes; absent: none. */
  readonly warnings?: readonly string[]
  readonly assets: {
    readonly made: readonly string[]
    readonly failed: readonly string[]
    readonly pending: readonly string[]
  }
  /** ISO 8601. */
  readonly updated: string
  readonly request_id?: string
}

/** A letter of /v1/dead-letters. */
export interface Letter {
  readonly id: string
  readonly state: string
  readonly step: string
  readonly code: string
  readonly reason: string
  readonly remedy?: string
  readonly attempt: number
  /** ISO 8601. */
  readonly dead_lettered: string
  readonly redrivable: boolean
  readonly job?: string
  readonly run?: number
  readonly request_id?: string
  readonly asset_guid?: string
  readonly derivative_assets?: readonly string[]
  readonly settled: {
    readonly at: string
    readonly by: string
    readonly run?: number
    readonly reason?: string
  } | null
  readonly attributes?: Readonly<Record<string, string>>
  readonly bytes?: number
  readonly body?: string
  readonly body_base64?: string
}

/** What is less likely than this is shown with a mark, and recommended to nobody. */
export const LIKELY = 0.5

const ENDED: readonly string[] = ['done', 'partial', 'failed']

export function hasEnded({ state }: { readonly state: string }): boolean {
  return ENDED.includes(state)
}
