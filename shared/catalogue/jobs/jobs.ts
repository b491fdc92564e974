import type { StepEvent } from '../../contracts/messages/event.ts'
import type { RunEnded } from '../../contracts/messages/run.ts'
import type { DeadLetter } from '../../frame/dead-letter.ts'
import { type DatabaseOptions, openDatabase, type Query } from '../database.ts'
import { forget } from '../events/forget.ts'
import { type EventCount, recordEvents } from '../events/record-events.ts'
import { type Board, board } from '../figures/board.ts'
import { type Kpis, kpis } from '../figures/kpis.ts'
import {
  claimLetter,
  countLetters,
  type KeptLetter,
  keepLetter,
  type LetterCursor,
  type LetterFilter,
  type LetterState,
  letter,
  letters,
  nextLetters,
  releaseLetter,
  type Settlement,
  settleLetter,
  type WholeLetter,
} from '../letters/letter-table.ts'
import { migrate, type SchemaState, schemaState } from '../schema/migrate.ts'
import { type AssetKey, type MadeAsset, readMade } from '../tracks/asset-table.ts'
import {
  changedTracks,
  type ListedState,
  type ListedTrack,
  listedTrack,
  listTracks,
  type TrackCursor,
  type TrackFilter,
  type TrackPage,
} from '../tracks/list-tracks.ts'
import {
  type HistoryCursor,
  type HistoryPage,
  type TrackStatus,
  track,
  trackHistory,
} from '../tracks/read-tracks.ts'
import { acceptJobs } from './accept-jobs.ts'
import type { Acceptance } from './job-row.ts'
import { type JobStatus, job, jobsOfRequest, requestsOf } from './read-jobs.ts'
import { type Announced, type Announcement, markAnnounced, recordRuns } from './record-runs.ts'
import {
  markSwept,
  type StaleJob,
  type StaleQuery,
  staleJobs,
  sweepJobs,
} from './sweep-jobs.ts'

export type {
  Acceptance,
  Announced,
  Announcement,
  AssetKey,
  Board,
  EventCount,
  HistoryCursor,
  HistoryPage,
  JobStatus,
  KeptLetter,
  Kpis,
  LetterCursor,
  LetterFilter,
  LetterState,
  ListedState,
  ListedTrack,
  MadeAsset,
  SchemaState,
  Settlement,
  StaleJob,
  StaleQuery,
  TrackCursor,
  TrackFilter,
  TrackPage,
  TrackStatus,
  WholeLetter,
}

/**
 * What exists for every track, what was requested and what happened. Any error may be retried: a database that is
 * away, slow or restarting causes an ordinary error and never ends the process. All writes are idempotent, in any order
 * and from any number of processes.
 */
export interface Catalogue {
  /** Migrates the schema. All services may call this at once. */
  migrate(signal?: AbortSignal): Promise<void>
  /**
   * Records jobs. An existing job gets the assets that it does not have yet, and is opened again by them and by a higher
   * run. Anything else changes nothing.
   */
  acceptJobs(jobs: readonly Acceptance[], signal?: AbortSignal): Promise<void>
  /**
   * Records runs that have ended, all or none, even if their acceptance was not recorded. Returns the jobs that are
   * complete and have not been announced in this state: publish those, then call `markAnnounced`.
   */
  recordRuns(runs: readonly RunEnded[], signal?: AbortSignal): Promise<readonly Announcement[]>
  /** Records that announcements have been published, so that they are not published again. */
  markAnnounced(announced: readonly Announced[], signal?: AbortSignal): Promise<void>
  /** Records any number of events, each once. */
  recordEvents(events: readonly StepEvent[], signal?: AbortSignal): Promise<void>
  /** Jobs that have been neither announced nor dead-lettered for too long. */
  staleJobs(query: StaleQuery, signal?: AbortSignal): Promise<readonly StaleJob[]>
  /** Counts a sweep of each job. Returns the ids of the jobs to publish again; the others no longer need it. */
  markSwept(
    jobs: readonly Pick<StaleJob, 'job' | 'swept'>[],
    signal?: AbortSignal,
  ): Promise<readonly string[]>
  /** `staleJobs` and `markSwept` in one: stale jobs that count as swept now, without those that others have claimed. */
  sweepJobs(query: StaleQuery, signal?: AbortSignal): Promise<readonly StaleJob[]>
  /** The assets, of those named, that exist. */
  assetResults(
    track: string,
    revision: string,
    assets: readonly Pick<AssetKey, 'asset' | 'version'>[],
    signal?: AbortSignal,
  ): Promise<readonly MadeAsset[]>
  /** The jobs of a request, by track. */
  jobsOfRequest(requestId: string, signal?: AbortSignal): Promise<readonly JobStatus[]>
  /** The first requests of jobs, by job id. */
  requestsOf(
    jobs: readonly string[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, JobStatus['request']>>
  job(id: string, signal?: AbortSignal): Promise<JobStatus | undefined>
  /** A track; undefined until a run has read its master. */
  track(assetGuid: string, signal?: AbortSignal): Promise<TrackStatus | undefined>
  /** Tracks, latest activity first, 1 to 1,000 at a time. */
  listTracks(
    filter: TrackFilter,
    page: { readonly limit: number; readonly after?: TrackCursor | undefined },
    signal?: AbortSignal,
  ): Promise<TrackPage>
  /** Tracks that changed after `sinceUs` (µs since 1970; default: 2 s ago), earliest change first. */
  changedTracks(
    sinceUs: number | undefined,
    limit: number,
    signal?: AbortSignal,
  ): Promise<readonly ListedTrack[]>
  /** A track as lists show it; undefined if no job for it is known. */
  listedTrack(assetGuid: string, signal?: AbortSignal): Promise<ListedTrack | undefined>
  /** The figures of the interval [from, to). */
  kpis(from: Date, to: Date, signal?: AbortSignal): Promise<Kpis>
  /** The current state of the chain. */
  board(signal?: AbortSignal): Promise<Board>
  /** The events of a track, latest first, 1 to 1,000 at a time. */
  trackHistory(
    assetGuid: string,
    page: { readonly limit: number; readonly before?: HistoryCursor | undefined },
    signal?: AbortSignal,
  ): Promise<HistoryPage>
  /** Stores a dead letter once, even if it is delivered several times. */
  keepLetter(letter: DeadLetter, signal?: AbortSignal): Promise<void>
  /** Dead letters, latest first, 1 to 1,000 at a time. */
  letters(
    state: LetterState | 'all',
    filter: LetterFilter,
    page: { readonly limit: number; readonly after?: LetterCursor | undefined },
    signal?: AbortSignal,
  ): Promise<{ readonly letters: readonly KeptLetter[]; readonly next?: LetterCursor }>
  /** The letters that `claimLetter` would claim next by a filter, in that order, 1 to 1,000. */
  nextLetters(
    filter: LetterFilter,
    limit: number,
    signal?: AbortSignal,
  ): Promise<readonly KeptLetter[]>
  /** The number of open letters that match, with a job to redrive and without one. */
  countLetters(
    filter: LetterFilter,
    signal?: AbortSignal,
  ): Promise<{ readonly redrivable: number; readonly others: number }>
  letter(id: string, signal?: AbortSignal): Promise<WholeLetter | undefined>
  /**
   * Claims an open letter that is not claimed: the one with this id, or the oldest one with a job that matches the
   * filter. Settle it or release it; the claim expires after 60 s.
   */
  claimLetter(
    which: string | LetterFilter,
    signal?: AbortSignal,
  ): Promise<KeptLetter | undefined>
  /** Settles a letter that was claimed: redriven as a run, or discarded for a reason. */
  settleLetter(
    id: string,
    settlement: Omit<Settlement, 'at'>,
    signal?: AbortSignal,
  ): Promise<void>
  /** Releases a claim. */
  releaseLetter(id: string, signal?: AbortSignal): Promise<void>
  /**
   * Removes at most `limit` events and `limit` settled dead letters that are older than `days` days. Returns fewer than
   * `limit` when none of that age are left.
   */
  forget(days: number, limit: number, signal?: AbortSignal): Promise<number>
  /** The state of the schema's migration. @throws when the database does not answer. */
  schema(signal?: AbortSignal): Promise<SchemaState>
  /** Resolves when the database answers. @throws when it does not. */
  ping(signal?: AbortSignal): Promise<void>
  /** Waits for running statements and closes all connections. */
  close(): Promise<void>
}

/** Listeners for what commits have added, for counters. Each addition is reported once, after its commit. */
export interface Additions {
  /** An asset was recorded as made. */
  made(asset: string): void
  /** The verdict that an asset has failed was recorded. */
  failed(asset: string): void
  recorded(events: EventCount): void
  /** A dead letter of this step was stored. */
  kept(step: string): void
}

/** Opens the catalogue, which connects at the first call. */
export function openCatalogue(options: DatabaseOptions, additions?: Additions): Catalogue {
  const database = openDatabase(options)
  const atOnce =
    (signal: AbortSignal | undefined): Query =>
    (statement, values) =>
      database.query(statement, values, signal)
  return {
    migrate: (signal) => migrate(database, signal),
    acceptJobs: (jobs, signal) => acceptJobs(database, jobs, signal),
    async recordRuns(runs, signal) {
      const { due, made, failed } = await recordRuns(database, runs, signal)
      for (const asset of made) additions?.made(asset)
      for (const asset of failed) additions?.failed(asset)
      return due
    },
    markAnnounced: (announced, signal) => markAnnounced(database, announced, signal),
    async recordEvents(events, signal) {
      for (const count of await recordEvents(database, events, signal))
        additions?.recorded(count)
    },
    staleJobs: (query, signal) => staleJobs(database, query, signal),
    markSwept: (jobs, signal) => markSwept(database, jobs, signal),
    sweepJobs: (query, signal) => sweepJobs(database, query, signal),
    assetResults: (guid, revision, assets, signal) =>
      readMade(
        atOnce(signal),
        assets.map((asset) => ({ ...asset, track: guid, revision })),
      ),
    jobsOfRequest: (requestId, signal) => jobsOfRequest(atOnce(signal), requestId),
    requestsOf: (jobs, signal) => requestsOf(atOnce(signal), jobs),
    job: (id, signal) => job(atOnce(signal), id),
    track: (assetGuid, signal) => track(atOnce(signal), assetGuid),
    listTracks: (filter, page, signal) => listTracks(atOnce(signal), filter, page),
    changedTracks: (sinceUs, limit, signal) => changedTracks(atOnce(signal), sinceUs, limit),
    listedTrack: (assetGuid, signal) => listedTrack(atOnce(signal), assetGuid),
    kpis: (from, to, signal) => kpis(atOnce(signal), from, to),
    board: (signal) => board(atOnce(signal)),
    trackHistory: (assetGuid, page, signal) => trackHistory(atOnce(signal), assetGuid, page),
    async keepLetter(kept, signal) {
      if (await keepLetter(atOnce(signal), kept)) additions?.kept(kept.step)
    },
    letters: (state, filter, page, signal) => letters(atOnce(signal), state, filter, page),
    nextLetters: (filter, limit, signal) => nextLetters(atOnce(signal), filter, limit),
    countLetters: (filter, signal) => countLetters(atOnce(signal), filter),
    letter: (id, signal) => letter(atOnce(signal), id),
    claimLetter: (which, signal) => claimLetter(atOnce(signal), which),
    settleLetter: (id, settlement, signal) => settleLetter(atOnce(signal), id, settlement),
    releaseLetter: (id, signal) => releaseLetter(atOnce(signal), id),
    forget: (days, limit, signal) => forget(atOnce(signal), days, limit),
    schema: (signal) => schemaState(database, signal),
    ping: async (signal) => {
      await database.query({ text: 'select 1' }, [], signal)
    },
    close: () => database.close(),
  }
}
