/** The function that writes the rows of lists. A migration that adds a column replaces it as a whole. */
const LIST_TRACKS = `
  -- Tracks as they stand; of each the job that takes over, null where none does.
  create or replace function list_tracks(guids text[], jobs text[], is_first boolean) returns void
  language plpgsql as $$
  begin
    if guids is null then return; end if;
    insert into track_listing as old (asset_guid, job, request_id, asked_at, state, updated_at,
      made, failed, pending, samples, bpm, bpm_confidence, bpm_error, key, key_confidence, camelot,
      loudness, warnings)
    select job.asset_guid, job.id, job.request_id,
      case when target.job is null then job.accepted_at
        else greatest(job.accepted_at, listed.asked_at) end,
      case
        when job.ended_at is not null then job.state
        when job.dead_lettered_run >= job.run then 'failed'
        else 'running' end,
      case when is_first then greatest(job.accepted_at, job.ended_at) else clock_timestamp() end,
      found.made,
      array(select key from jsonb_object_keys(job.wanted) key
        where key <> all (found.made)
          and (job.verdicts -> key ->> 'state' = 'failed'
              and (job.verdicts -> key -> 'run')::bigint >= (job.wanted -> key)::bigint
            or job.ended_at is null and job.dead_lettered_run >= job.run)
        order by key),
      array(select key from jsonb_object_keys(job.wanted) key
        where key <> all (found.made) and job.ended_at is null
          and coalesce(job.dead_lettered_run < job.run, true)
          and coalesce((job.verdicts -> key -> 'run')::bigint < (job.wanted -> key)::bigint, true)
        order by key),
      master.samples,
      number_in(found.bpm -> 'bpm'), number_in(found.bpm -> 'confidence'),
      number_in(found.bpm -> 'bpmError'), found.key ->> 'key',
      number_in(found.key -> 'confidence'), found.key ->> 'camelot', number_in(found.loudness -> 'integrated'),
      array(select distinct each ->> 'code' from jsonb_array_elements(master.warnings) each order by 1)
    from unnest(guids, jobs) as target (asset_guid, job)
    left join track_listing listed using (asset_guid)
    join job on job.id = coalesce(target.job, listed.job)
    left join track on track.asset_guid = target.asset_guid
    left join master on master.asset_guid = track.asset_guid and master.revision = track.revision
    cross join lateral (
      select coalesce(array_agg(distinct asset) filter (where state = 'made'), '{}') as made,
        (array_agg(result order by version desc)
          filter (where state = 'made' and asset = 'bpm'))[1] as bpm,
        (array_agg(result order by version desc)
          filter (where state = 'made' and asset = 'key'))[1] as key,
        (array_agg(result order by version desc)
          filter (where state = 'made' and asset = 'loudness'))[1] as loudness
      from asset where asset_guid = track.asset_guid and revision = track.revision
    ) found
    order by target.asset_guid collate "C"
    on conflict (asset_guid) do update set
      job = excluded.job, request_id = excluded.request_id, asked_at = excluded.asked_at,
      state = excluded.state, updated_at = excluded.updated_at,
      earlier = (old.earlier || old.updated_at)[greatest(1, cardinality(old.earlier) - 14):],
      made = excluded.made, failed = excluded.failed, pending = excluded.pending,
      samples = excluded.samples, bpm = excluded.bpm, bpm_confidence = excluded.bpm_confidence,
      bpm_error = excluded.bpm_error, key = excluded.key,
      key_confidence = excluded.key_confidence, camelot = excluded.camelot, loudness = excluded.loudness,
      warnings = excluded.warnings;
  end $$;`

/**
 * A narrow row for each track, for lists and searches. Triggers maintain it, no matter which release of a service writes
 * the job: a track that a release had left out would be missing from every list.
 *
 * It is written when a job changes, which is the last thing in a transaction that records a run. So each row includes
 * everything that was recorded with it, and is locked once, in the order of the keys, so that there are no deadlocks.
 */
export const TRACK_LISTING = `
  create table track_listing (
    asset_guid text collate "C" primary key,
    -- The job that its state is of: the one that was asked for, or opened again, last.
    job text collate "C" not null,
    request_id uuid not null,
    asked_at timestamptz not null,
    state text not null check (state in ('running', 'done', 'partial', 'failed')),
    -- Lists have the latest first.
    updated_at timestamptz not null,
    -- Where it stood in lists before, so that a reader who is half through finds it at its place.
    earlier timestamptz[] not null default '{}',
    made text[] not null,
    failed text[] not null,
    pending text[] not null,
    samples bigint,
    bpm double precision,
    bpm_confidence double precision,
    bpm_error double precision,
    key text,
    key_confidence double precision,
    camelot text,
    loudness double precision,
    -- Codes of what is missing or wrong in the master.
    warnings text[] not null default '{}'
  ) with (fillfactor = 70);
  create index track_listing_time on track_listing (updated_at, asset_guid);
  create index track_listing_bpm on track_listing (bpm) where bpm is not null;

  create index job_announced on job (announced_at) where announced_at is not null;
  create index dead_letter_settled on dead_letter (settled_at) where settled_at is not null;
  -- What joins words would else be taken for an address or a file, which is found by its beginning alone.
  create index track_name_words on track_name
    using gin (to_tsvector('simple', translate(name, '/.@_-', '     ')));

  -- A number of a result, which may be anything.
  create function number_in(value jsonb) returns double precision language sql immutable as $$
    select case when jsonb_typeof(value) = 'number' then (value #>> '{}')::double precision end
  $$;

${LIST_TRACKS}
  -- Both by keys alone: plans are kept, and may have been made while the tables were empty.
  create function list_new_jobs() returns trigger language plpgsql
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  begin
    perform list_tracks(array_agg(asset_guid), array_agg(id), false)
    from (
      select distinct on (asset_guid) asset_guid, id
      from new_rows left join track_listing listed using (asset_guid)
      where new_rows.accepted_at >= listed.asked_at or listed.asked_at is null
      order by asset_guid, new_rows.accepted_at desc, id
    ) as news;
    return null;
  end $$;

  create function list_changed_jobs() returns trigger language plpgsql
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  begin
    perform list_tracks(array_agg(asset_guid), array_agg(opened), false)
    from (
      select after.asset_guid, max(after.id)
        filter (where after.run > before.run or after.wanted <> before.wanted) as opened
      from new_rows after join old_rows before using (id)
      where (after.state, after.run, after.wanted, after.verdicts)
          <> (before.state, before.run, before.wanted, before.verdicts)
        or after.dead_lettered_run is distinct from before.dead_lettered_run
        or (after.ended_at is null) <> (before.ended_at is null)
      group by after.asset_guid
    ) as news;
    return null;
  end $$;

  create trigger job_inserted after insert on job
    referencing new table as new_rows for each statement execute function list_new_jobs();
  create trigger job_updated after update on job
    referencing old table as old_rows new table as new_rows
    for each statement execute function list_changed_jobs();

  select list_tracks(array_agg(asset_guid), array_agg(id), true)
  from (
    select distinct on (asset_guid) asset_guid, id from job
    order by asset_guid, accepted_at desc, id
  ) as latest;
`

/** Columns for catalogues from before warnings, and from before lists had the confidence of a key. */
export const ADDED_COLUMNS = `
  alter table master add column if not exists warnings jsonb not null default '[]';
  alter table event add column if not exists warnings jsonb;
  alter table track_listing add column if not exists bpm_error double precision,
    add column if not exists key_confidence double precision,
    add column if not exists warnings text[] not null default '{}';
${LIST_TRACKS}
  update track_listing listed set key_confidence = (
    select number_in(result -> 'confidence') from asset join track using (asset_guid, revision)
    where asset_guid = listed.asset_guid and asset = 'key' and state = 'made'
    order by version desc limit 1
  ) where key is not null and key_confidence is null;
`
