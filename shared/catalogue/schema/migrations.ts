import { ADDED_COLUMNS, TRACK_LISTING } from './track-listing.ts'

export interface Migration {
  readonly name: string
  readonly sql: string
}

/**
 * The migrations of the schema, oldest first; the number of a migration is its position, from 1. They only go forward:
 * a released migration is never edited, and new ones are appended. Services of two releases run side by side during an
 * update, so a migration must keep the statements of the previous release working.
 */
export const MIGRATIONS: readonly Migration[] = [
  {
    name: 'tracks, jobs, assets and events',
    // Keys are compared by bytes, whatever the database's own collation: faster, and the same everywhere.
    sql: `
      create table job (
        id text collate "C" primary key,
        request_id uuid not null,
        asset_guid text collate "C" not null,
        run bigint not null,
        route text not null,
        -- The job as its highest run asked for it.
        request jsonb not null,
        -- Asset to the highest run that asked for it.
        wanted jsonb not null,
        -- Asset to its verdict, with the run and revision it is of.
        verdicts jsonb not null default '{}',
        state text not null check (state in ('accepted', 'running', 'done', 'partial', 'failed')),
        revision text,
        accepted_at timestamptz not null,
        ended_at timestamptz,
        -- Names what is to be announced; null while a verdict is owed.
        announcement text,
        -- When exactly that was announced.
        announced_at timestamptz,
        -- Until then only the process that recorded the run last may announce it.
        claimed_until timestamptz,
        dead_lettered_run bigint,
        -- Since when the watchdog waits; null when nothing is owed any more.
        watched_since timestamptz default now(),
        swept int not null default 0
        -- Half of each page is left for the row as it will be, so that most updates touch no index.
      ) with (fillfactor = 50);
      create index job_request on job (request_id);
      create index job_watched on job (watched_since) where watched_since is not null;

      create table track (
        asset_guid text collate "C" primary key,
        revision text not null,
        -- When the job was accepted that read this revision: the latest decides.
        accepted_at timestamptz not null,
        first_seen timestamptz not null default now()
      ) with (fillfactor = 80);

      create table master (
        asset_guid text collate "C",
        revision text collate "C",
        uri text not null,
        samples bigint not null,
        layout text not null,
        -- What is missing or wrong in it.
        warnings jsonb not null default '[]',
        first_seen timestamptz not null default now(),
        primary key (asset_guid, revision)
      );

      create table asset (
        asset_guid text collate "C",
        revision text collate "C",
        asset text collate "C",
        version bigint,
        state text not null check (state in ('made', 'failed')),
        -- Extension to bytes.
        files jsonb,
        result jsonb,
        code text,
        sentence text,
        recorded_at timestamptz not null default now(),
        primary key (asset_guid, revision, asset, version)
      );
      create index asset_recorded on asset using brin (recorded_at);

      create table event (
        id uuid primary key,
        at timestamptz not null,
        step text not null,
        verdict text not null,
        job text collate "C",
        track text collate "C",
        run bigint,
        route text,
        attempt bigint not null,
        units text[] not null,
        worker text not null,
        ms double precision not null,
        cpu_ms double precision,
        bytes_read bigint,
        bytes_written bigint,
        store_operations bigint,
        code text,
        sentence text,
        warnings jsonb
      );
      create index event_history on event (track, at, id) where track is not null;
      create index event_time on event using brin (at);
    `,
  },
  {
    name: 'what tracks are called',
    sql: `
      create table track_name (
        asset_guid text collate "C",
        field text collate "C" check (field in ('title', 'artist')),
        -- Empty when it was taken away.
        name text not null,
        -- When the job was accepted that said so: the latest decides.
        given_at timestamptz not null,
        primary key (asset_guid, field)
      ) with (fillfactor = 80);
    `,
  },
  {
    name: 'dead letters',
    sql: `
      create table dead_letter (
        id text collate "C" primary key,
        -- Its own on the dead-letter topic.
        message text not null,
        published_at timestamptz not null,
        step text not null,
        code text not null,
        reason text not null,
        attempt bigint not null,
        -- The job in it and the run that failed; null when there is none in it.
        job text collate "C",
        run bigint,
        accepted_at timestamptz,
        request jsonb,
        -- As they came, to the letter.
        body bytea not null,
        attributes json not null,
        state text not null default 'open' check (state in ('open', 'redriven', 'discarded')),
        -- Until then a process is about to settle it, and no other may.
        claimed_until timestamptz,
        settled_at timestamptz,
        settled_by text,
        redriven_run bigint,
        discard_reason text
      );
      create index dead_letter_open on dead_letter (published_at, id) where state = 'open';
      create index dead_letter_time on dead_letter (published_at, id);
    `,
  },
  {
    name: 'what crossed the WAN',
    sql: `
      alter table event add column bytes_from_cloud bigint, add column bytes_to_cloud bigint;
    `,
  },
  {
    name: 'tracks in lists',
    sql: TRACK_LISTING,
  },
  {
    name: 'a request may be called anything',
    sql: `
      alter table job alter column request_id type text collate "C";
      alter table track_listing alter column request_id type text collate "C";
    `,
  },
  {
    name: 'the letters of a job, and the open ones of a track',
    sql: `
      create index dead_letter_job on dead_letter (job) where job is not null;
      create index dead_letter_track on dead_letter ((request ->> 'asset_guid'))
        where state = 'open' and request is not null;
    `,
  },
  {
    name: 'warnings, and how sure what is listed is',
    sql: ADDED_COLUMNS,
  },
  {
    name: 'names that masters have',
    sql: `
      -- Whether the master itself has it, in its tags or its file's name; else a job said so, which counts for more.
      alter table track_name add column found boolean not null default false;
    `,
  },
]
