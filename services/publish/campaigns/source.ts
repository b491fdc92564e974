import type { CampaignSource } from '#shared/catalogue/campaigns/campaign.ts'
import type { CampaignCode } from '#shared/contracts/errors/campaign.ts'
import type { UncheckedJob } from '#shared/jobs/csv-jobs.ts'

/** What may become an item. */
export interface Candidate {
  /** The line of the manifest; null where there is none. */
  readonly line: number | null
  /** Its EncodeJob, unchecked. @throws PermanentError when there is none in the line */
  job(): UncheckedJob
  /** How the line begins. */
  excerpt(): string | null
}

/** A part of a source. */
export interface Batch {
  readonly candidates: readonly Candidate[]
  /** The number of lines, or tracks, that have been looked at for it. */
  readonly lookedAt: number
  /** Where the source goes on. */
  readonly cursor: object
  /** How much of the source has been read, 0 to 1. */
  readonly enumerated: number
  readonly isEnd: boolean
  /** The source, where the first batch has found out more about it. */
  readonly source?: CampaignSource
}

/** The source cannot be read as it should: the campaign is paused, and says why. */
export class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly code: CampaignCode

  constructor(code: CampaignCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
