import type { StepEvent } from '../messages/event.ts'
import type { RunEnded } from '../messages/run.ts'
import { acceptJobs } from './accept-jobs.ts'
import { type AssetKey, type MadeAsset, readMade } from './asset-table.ts'
import { type DatabaseOptions, openDatabase, type Query } from './database.ts'
import type { Acceptance } from './job-row.ts'
import { migrate } from './migrate.ts'
import { type JobStatus, job, jobsOfRequest } from './read-jobs.ts'
import {
  type HistoryCursor,
  type HistoryPage,
  type TrackStatus,
  track,
  trackHistory,
} from './read-tracks.ts'
import { recordEvents } from './record-events.ts'
import { type Announced, type Announcement, markAnnounced, recordRuns } from './record-runs.ts'
import { markSwept, type StaleJob, type StaleQuery, staleJobs, sweepJobs } from './watchdog.ts'

export type {
  Acceptance,
  Announced,
  Announcement,
  AssetKey,
  HistoryCursor,
  HistoryPage,
  JobStatus,
  MadeAsset,
  StaleJob,
  StaleQuery,
  TrackStatus,
}

/**
 * What exists for every track, what was asked for and what happened. Anything thrown may be tried
 * again: a database that is away, slow or restarting is an ordinary error, never the end of the process.
 * All that writes may be repeated, in any order and from any number of processes.
 */
export interface Catalogue {
  /** Brings the schema up to date; all services may do so at once. */
  migrate(signal?: AbortSignal): Promise<void>
  /**
   * Records jobs. One that is there is widened by assets that it did not have, and opened again by
   * those and by a higher run; anything else changes nothing.
   */
  acceptJobs(jobs: readonly Acceptance[], signal?: AbortSignal): Promise<void>
  /**
   * Records ended runs, all or none, accepted or not. Returns the jobs that are complete and have not
   * been announced as they stand: publish those, then `markAnnounced`.
   */
  recordRuns(runs: readonly RunEnded[], signal?: AbortSignal): Promise<readonly Announcement[]>
  markAnnounced(announced: readonly Announced[], signal?: AbortSignal): Promise<void>
  /** Records events, each once, in any number. */
  recordEvents(events: readonly StepEvent[], signal?: AbortSignal): Promise<void>
  /** Jobs neither announced nor dead-lettered for too long. */
  staleJobs(query: StaleQuery, signal?: AbortSignal): Promise<readonly StaleJob[]>
  /** Counts a sweep of each. Returns the ids to publish again: the rest need it no more. */
  markSwept(
    jobs: readonly Pick<StaleJob, 'job' | 'swept'>[],
    signal?: AbortSignal,
  ): Promise<readonly string[]>
  /** Both at once: stale jobs that are now counted as swept, and that nobody else has claimed. */
  sweepJobs(query: StaleQuery, signal?: AbortSignal): Promise<readonly StaleJob[]>
  /** Those of the named assets that exist. */
  assetResults(
    track: string,
    revision: string,
    assets: readonly Pick<AssetKey, 'asset' | 'version'>[],
    signal?: AbortSignal,
  ): Promise<readonly MadeAsset[]>
  /** The jobs of a request, by track. */
  jobsOfRequest(requestId: string, signal?: AbortSignal): Promise<readonly JobStatus[]>
  job(id: string, signal?: AbortSignal): Promise<JobStatus | undefined>
  /** Undefined until a run has read the track's master. */
  track(assetGuid: string, signal?: AbortSignal): Promise<TrackStatus | undefined>
  /** A track's events, the latest first, 1 to 1,000 at a time. */
  trackHistory(
    assetGuid: string,
    page: { readonly limit: number; readonly before?: HistoryCursor | undefined },
    signal?: AbortSignal,
  ): Promise<HistoryPage>
  /** @throws when the database does not answer. */
  ping(signal?: AbortSignal): Promise<void>
  /** Waits for what is under way. */
  close(): Promise<void>
}

/** Opens the catalogue. Nothing connects until the first call. */
export function openCatalogue(options: DatabaseOptions): Catalogue {
  const database = openDatabase(options)
  const reading =
    (signal: AbortSignal | undefined): Query =>
    (statement, values) =>
      database.query(statement, values, signal)
  return {
    migrate: (signal) => migrate(database, signal),
    acceptJobs: (jobs, signal) => acceptJobs(database, jobs, signal),
    recordRuns: (runs, signal) => recordRuns(database, runs, signal),
    markAnnounced: (announced, signal) => markAnnounced(database, announced, signal),
    recordEvents: (events, signal) => recordEvents(database, events, signal),
    staleJobs: (query, signal) => staleJobs(database, query, signal),
    markSwept: (jobs, signal) => markSwept(database, jobs, signal),
    sweepJobs: (query, signal) => sweepJobs(database, query, signal),
    assetResults: (guid, revision, assets, signal) =>
      readMade(
        reading(signal),
        assets.map((asset) => ({ ...asset, track: guid, revision })),
      ),
    jobsOfRequest: (requestId, signal) => jobsOfRequest(reading(signal), requestId),
    job: (id, signal) => job(reading(signal), id),
    track: (assetGuid, signal) => track(reading(signal), assetGuid),
    trackHistory: (assetGuid, page, signal) => trackHistory(reading(signal), assetGuid, page),
    ping: async (signal) => {
      await database.query({ text: 'select 1' }, [], signal)
    },
    close: () => database.close(),
  }
}
