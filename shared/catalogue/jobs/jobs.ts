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
  LETTER_STATES,
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
  LISTED_STATES,
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
export { LETTER_STATES, LISTED_STATES }

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
  /** What jobs were first asked for, by their ids. */
  requestsOf(
    jobs: readonly string[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, JobStatus['request']>>
  job(id: string, signal?: AbortSignal): Promise<JobStatus | undefined>
  /** Undefined until a run has read the track's master. */
  track(assetGuid: string, signal?: AbortSignal): Promise<TrackStatus | undefined>
  /** Tracks, those with the latest activity first, 1 to 1,000 at a time. */
  listTracks(
    filter: TrackFilter,
    page: { readonly limit: number; readonly after?: TrackCursor | undefined },
    signal?: AbortSignal,
  ): Promise<TrackPage>
  /** Tracks that changed after then (µs since 1970) or in the last 2 s, the earliest change first. */
  changedTracks(
    sinceUs: number | undefined,
    limit: number,
    signal?: AbortSignal,
  ): Promise<readonly ListedTrack[]>
  /** A track as lists have it; undefined when no job for it is known. */
  listedTrack(assetGuid: string, signal?: AbortSignal): Promise<ListedTrack | undefined>
  /** What was done between two instants. */
  kpis(from: Date, to: Date, signal?: AbortSignal): Promise<Kpis>
  /** What the chain is at. */
  board(signal?: AbortSignal): Promise<Board>
  /** A track's events, the latest first, 1 to 1,000 at a time. */
  trackHistory(
    assetGuid: string,
    page: { readonly limit: number; readonly before?: HistoryCursor | undefined },
    signal?: AbortSignal,
  ): Promise<HistoryPage>
  /** Keeps a dead letter, once, however often it comes. */
  keepLetter(letter: DeadLetter, signal?: AbortSignal): Promise<void>
  /** Dead letters, the latest first, 1 to 1,000 at a time. */
  letters(
    state: LetterState | 'all',
    filter: LetterFilter,
    page: { readonly limit: number; readonly after?: LetterCursor | undefined },
    signal?: AbortSignal,
  ): Promise<{ readonly letters: readonly KeptLetter[]; readonly next?: LetterCursor }>
  /** Those that a filter would have claimed next, in that order, 1 to 1,000. */
  nextLetters(
    filter: LetterFilter,
    limit: number,
    signal?: AbortSignal,
  ): Promise<readonly KeptLetter[]>
  /** How many are open, with a job to redrive and without. */
  countLetters(
    filter: LetterFilter,
    signal?: AbortSignal,
  ): Promise<{ readonly redrivable: number; readonly others: number }>
  letter(id: string, signal?: AbortSignal): Promise<WholeLetter | undefined>
  /**
   * Claims an open letter that nobody else has claimed: the one of this id, or the oldest with a job that the filter
   * lets through. Settle it or release it; the claim ends by itself after a minute.
   */
  claimLetter(
    which: string | LetterFilter,
    signal?: AbortSignal,
  ): Promise<KeptLetter | undefined>
  /** What became of a letter that was claimed: redriven as a run, or discarded for a reason. */
  settleLetter(
    id: string,
    settlement: Omit<Settlement, 'at'>,
    signal?: AbortSignal,
  ): Promise<void>
  /** Gives a claim back. */
  releaseLetter(id: string, signal?: AbortSignal): Promise<void>
  /**
   * Removes at most `limit` events and `limit` settled dead letters older than so many days. Returns fewer than `limit`
   * when nothing so old is left.
   */
  forget(days: number, limit: number, signal?: AbortSignal): Promise<number>
  /** How far the schema is migrated. @throws when the database does not answer. */
  schema(signal?: AbortSignal): Promise<SchemaState>
  /** @throws when the database does not answer. */
  ping(signal?: AbortSignal): Promise<void>
  /** Waits for what is under way. */
  close(): Promise<void>
}

/** Hears what commits have added, each addition once, after its commit: for counters. */
export interface Additions {
  /** A row says that an asset is made. */
  made(asset: string): void
  /** A job has the verdict that an asset has failed. */
  failed(asset: string): void
  recorded(events: EventCount): void
  /** A dead letter of this step. */
  kept(step: string): void
}

/** Opens the catalogue. Nothing connects until the first call. */
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
