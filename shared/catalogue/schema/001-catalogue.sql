-- The catalogue. Keys are compared by bytes (collate "C"), whatever the database's own collation: faster, and the same
-- everywhere. Why the tables are as they are: DESIGN.md, chapter 9.

-- One row for each job, as small as can be: what has been made is in `asset`. No column that changes has an index, so
-- that updates stay within a page.
create table job (
  id text collate "C" primary key,
  request_id text collate "C" not null,
  asset_guid text collate "C" not null,
  run bigint not null,
  route text not null,
  -- The request of the highest run, without what other columns say.
  request json not null,
  -- Asset to the highest run that asked for it.
  wanted json not null,
  -- Asset to its verdict, without what the row says as well (jobs/job-text.ts).
  verdicts json not null default '{}',
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
  dead_lettered_run bigint
) with (fillfactor = 60);
create index job_request on job (request_id);

-- The jobs that are owed something: neither announced nor dead-lettered. Small and always in memory.
create table watch (
  job text collate "C" primary key,
  run bigint not null,
  route text not null,
  -- When it was accepted, opened again or swept; once it has begun, when a step of it was recorded last.
  since timestamptz not null default now(),
  -- Whether a step of this run has been recorded.
  begun boolean not null default false,
  swept int not null default 0
);
create index watch_begun on watch (since) where begun;
create index watch_waiting on watch (route, since) where not begun;

-- How long the oldest of the jobs had waited that began in a minute: where the queue of a route stands.
create table beginning (
  route text,
  minute timestamptz,
  waited_since timestamptz not null,
  primary key (route, minute)
);

create table track (
  asset_guid text collate "C" primary key,
  -- Of the master that was read last; null before one was.
  revision text collate "C",
  -- When the job was accepted that read this revision: the latest decides.
  accepted_at timestamptz,
  first_seen timestamptz,
  -- Of each name: when the job was accepted that said so (the latest decides), and whether the master itself has it,
  -- which counts for less. Empty when it was taken away.
  title text,
  title_at timestamptz,
  title_found boolean,
  artist text,
  artist_at timestamptz,
  artist_found boolean
) with (fillfactor = 80);

-- What words are looked for in. What joins words would else be taken for an address or a file, which is found by its
-- beginning alone.
create function words_of(title text, artist text) returns tsvector language sql immutable as $$
  select to_tsvector('simple', translate(coalesce(title, '') || ' ' || coalesce(artist, ''), '/.@_-', '     '))
$$;
create index track_words on track using gin (words_of(title, artist)) where title <> '' or artist <> '';

create table master (
  asset_guid text collate "C",
  revision text collate "C",
  -- Short and ascending: assets of new masters are next to each other.
  id bigint generated always as identity,
  uri text not null,
  samples bigint not null,
  layout text not null,
  -- What is missing or wrong in it.
  warnings jsonb not null default '[]',
  first_seen timestamptz not null default now(),
  primary key (asset_guid, revision)
);

create table asset (
  master bigint,
  asset text collate "C",
  version bigint,
  state text not null check (state in ('made', 'failed')),
  -- Extension to bytes.
  files json,
  result json,
  code text,
  sentence text,
  recorded_at timestamptz not null default now(),
  primary key (master, asset, version)
);

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
create index dead_letter_settled on dead_letter (settled_at) where settled_at is not null;
create index dead_letter_job on dead_letter (job) where job is not null;
create index dead_letter_track on dead_letter ((request ->> 'asset_guid'))
  where state = 'open' and request is not null;

-- What steps have reported: a partition for each day (UTC), which is dropped as a whole, and one for all other days.
create table event (
  at timestamptz,
  id uuid,
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
  bytes_from_cloud bigint,
  bytes_to_cloud bigint,
  store_operations bigint,
  code text,
  sentence text,
  warnings jsonb,
  primary key (at, id)
) partition by range (at);
create index event_history on event (track, at, id) where track is not null;
create table event_other partition of event default;

-- The ids of events that follow from what they are about, because the same may be reported again at another time.
create table event_once (
  id uuid primary key,
  recorded_at timestamptz not null default now()
);

-- Makes the partition of a day, and moves what had come for that day before.
create function add_event_day(day date) returns void language plpgsql as $$
declare
  name text := 'event_' || to_char(day, 'YYYYMMDD');
  first timestamptz := day::timestamp at time zone 'utc';
  after timestamptz := (day + 1)::timestamp at time zone 'utc';
begin
  perform pg_advisory_xact_lock(7472616369);
  if to_regclass(name) is not null then return; end if;
  execute format('create table %I (like event including all)', name);
  execute format('with moved as (delete from event_other where at >= %L and at < %L returning *)
    insert into %I select * from moved', first, after, name);
  execute format('alter table event attach partition %I for values from (%L) to (%L)', name, first, after);
end $$;

-- Drops the days that ended before that one. Returns how many there were.
create function drop_event_days(before date) returns int language plpgsql as $$
declare
  gone text[] := array(
    select inhrelid::regclass::text from pg_inherits where inhparent = 'event'::regclass
      and inhrelid::regclass::text ~ '^event_\d{8}$'
      and inhrelid::regclass::text < 'event_' || to_char(before, 'YYYYMMDD'));
  name text;
begin
  perform pg_advisory_xact_lock(7472616369);
  foreach name in array gone loop
    execute format('drop table if exists %I', name);
  end loop;
  return cardinality(gone);
end $$;

select add_event_day((now() at time zone 'utc')::date + day) from generate_series(0, 1) day;

-- What events come to in ten minutes, for figures over more than an hour. `class`: of durations, four to an octave.
create table activity (
  bucket timestamptz,
  step text,
  verdict text,
  route text,
  -- The asset where all units of the event are of one, else empty.
  asset text,
  class int,
  count bigint not null,
  ms double precision not null,
  longest_ms double precision not null,
  core_ms double precision not null,
  over_budget bigint not null,
  over_hard_limit bigint not null,
  bytes_read bigint not null,
  bytes_written bigint not null,
  bytes_from_cloud bigint not null,
  bytes_to_cloud bigint not null,
  store_operations bigint not null,
  primary key (bucket, step, verdict, route, asset, class)
) with (fillfactor = 80);

-- The class of a duration in ms.
create function class_of(ms double precision) returns int language sql immutable as $$
  select floor(4 * ln(greatest(ms, 1)) / ln(2))::int
$$;

-- Counts that are kept, because nobody can wait until millions of rows are counted. Each connection adds to rows of
-- its own shard, so that transactions do not wait for each other.
create table kept_count (
  kind text,
  value text,
  shard int,
  count bigint not null,
  primary key (kind, value, shard)
) with (fillfactor = 50);

-- Likewise what was made, failed and announced in a minute.
create table minute_count (
  minute timestamptz,
  shard int,
  made bigint not null default 0,
  failed bigint not null default 0,
  announced bigint not null default 0,
  primary key (minute, shard)
) with (fillfactor = 80);

create function own_shard() returns int language sql stable as $$ select pg_backend_pid() % 8 $$;

-- Which assets of which version a track has: `bpm@3` the newest that was made, and what failed in a newer version.
-- Millions of tracks share a few of these sets, so that what is stale or missing follows from one number a track.
create table asset_set (
  id int generated always as identity primary key,
  made text[] collate "C" not null,
  failed text[] collate "C" not null,
  unique (made, failed)
);

-- A narrow row for each track, for lists and searches. It is written when a job changes, which is the last thing in a
-- transaction that records a run: so each row includes everything that was recorded with it, and is locked once, in
-- the order of the keys, so that there are no deadlocks. Triggers maintain it, no matter which release of a service
-- writes the job: a track that a release had left out would be missing from every list.
create table track_listing (
  asset_guid text collate "C" primary key,
  -- The job that its state is of: the one that was asked for, or opened again, last.
  job text collate "C" not null,
  request_id text collate "C" not null,
  asked_at timestamptz not null,
  state text not null check (state in ('running', 'done', 'partial', 'failed')),
  -- Lists have the latest first.
  updated_at timestamptz not null,
  -- Where it stood in lists before, so that a reader who is half through finds it at its place.
  earlier timestamptz[] not null default '{}',
  assets int not null,
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
-- By what has few values, in the order of lists.
create index track_listing_assets on track_listing (assets, updated_at, asset_guid);
create index track_listing_camelot on track_listing (camelot, updated_at, asset_guid) where camelot is not null;
create index track_listing_state on track_listing (state, updated_at, asset_guid) where state <> 'done';
create index track_listing_warnings on track_listing (warnings, updated_at, asset_guid);
-- By ranges.
create index track_listing_bpm on track_listing (bpm) where bpm is not null;
create index track_listing_samples on track_listing (samples) where samples is not null;
create index track_listing_bpm_confidence on track_listing (bpm_confidence) where bpm_confidence is not null;
create index track_listing_key_confidence on track_listing (key_confidence) where key_confidence is not null;

-- A number of a result, which may be anything.
create function number_in(value json) returns double precision language sql immutable as $$
  select case when json_typeof(value) = 'number' then (value #>> '{}')::double precision end
$$;

-- A member of a result, which may be anything.
create function member_in(value json, name text) returns json language sql immutable as $$
  select case when json_typeof(value) = 'object' then value -> name end
$$;

-- What the current revision of a track has.
create type track_facts as (
  asset_guid text,
  opened text,
  master bigint,
  made text[],
  failed text[],
  bpm json,
  key json,
  loudness json
);

-- Writes the rows of tracks as they stand; `jobs`: of each the job that takes over, null where none does.
create function list_tracks(guids text[], jobs text[]) returns void language plpgsql
-- By keys alone: plans are kept, and may have been made while the tables were empty.
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  facts track_facts[];
begin
  if guids is null then return; end if;
  select array_agg((target.asset_guid, target.job, master.id, coalesce(found.made, '{}'),
    coalesce(found.failed, '{}'), found.bpm, found.key, found.loudness)::track_facts) into facts
  from unnest(guids, jobs) as target (asset_guid, job)
  left join track on track.asset_guid = target.asset_guid
  left join master on master.asset_guid = track.asset_guid and master.revision = track.revision
  cross join lateral (
    select array_agg(asset || '@' || made order by asset) filter (where made is not null) as made,
      array_agg(asset || '@' || failed order by asset) filter (where failed > coalesce(made, 0)) as failed,
      (array_agg(result) filter (where asset = 'bpm'))[1] as bpm,
      (array_agg(result) filter (where asset = 'key'))[1] as key,
      (array_agg(result) filter (where asset = 'loudness'))[1] as loudness
    from (
      select asset, max(version) filter (where state = 'made') as made,
        max(version) filter (where state = 'failed') as failed,
        (array_agg(result order by version desc) filter (where state = 'made'
          and asset in ('bpm', 'key', 'loudness')))[1] as result
      from asset where asset.master = master.id group by asset
    ) each
  ) found;

  -- Before any row of a list is locked: who adds a set waits for nobody who waits for it.
  insert into asset_set (made, failed)
  select distinct fact.made, fact.failed from unnest(facts) fact
  where not exists (
    select from asset_set known where known.made = fact.made and known.failed = fact.failed)
  order by 1, 2
  on conflict do nothing;

  insert into track_listing as old (asset_guid, job, request_id, asked_at, state, updated_at,
    assets, failed, pending, samples, bpm, bpm_confidence, bpm_error, key, key_confidence,
    camelot, loudness, warnings)
  select job.asset_guid, job.id, job.request_id,
    case when fact.opened is null then job.accepted_at
      else greatest(job.accepted_at, listed.asked_at) end,
    case
      when job.ended_at is not null then job.state
      when job.dead_lettered_run >= job.run then 'failed'
      else 'running' end,
    clock_timestamp(), sets.id,
    array(select key from json_object_keys(job.wanted) key
      where not exists (select from unnest(fact.made) each where split_part(each, '@', 1) = key)
        and (job.verdicts -> key ->> 'state' = 'failed'
            and coalesce((job.verdicts -> key ->> 'run')::bigint, job.run) >= (job.wanted ->> key)::bigint
          or job.ended_at is null and job.dead_lettered_run >= job.run)
      order by key),
    array(select key from json_object_keys(job.wanted) key
      where not exists (select from unnest(fact.made) each where split_part(each, '@', 1) = key)
        and job.ended_at is null and coalesce(job.dead_lettered_run < job.run, true)
        and (job.verdicts -> key is null
          or coalesce((job.verdicts -> key ->> 'run')::bigint, job.run) < (job.wanted ->> key)::bigint)
      order by key),
    master.samples,
    number_in(member_in(fact.bpm, 'bpm')), number_in(member_in(fact.bpm, 'confidence')),
    number_in(member_in(fact.bpm, 'bpmError')), member_in(fact.key, 'key') #>> '{}',
    number_in(member_in(fact.key, 'confidence')), member_in(fact.key, 'camelot') #>> '{}',
    number_in(member_in(fact.loudness, 'integrated')),
    coalesce(array(select distinct each ->> 'code' from jsonb_array_elements(master.warnings) each order by 1), '{}')
  from unnest(facts) fact
  left join track_listing listed on listed.asset_guid = fact.asset_guid
  join job on job.id = coalesce(fact.opened, listed.job)
  join asset_set sets on sets.made = fact.made and sets.failed = fact.failed
  left join track on track.asset_guid = fact.asset_guid
  left join master on master.asset_guid = track.asset_guid and master.revision = track.revision
  order by fact.asset_guid collate "C"
  on conflict (asset_guid) do update set
    job = excluded.job, request_id = excluded.request_id, asked_at = excluded.asked_at,
    state = excluded.state, updated_at = excluded.updated_at,
    earlier = (old.earlier || old.updated_at)[greatest(1, cardinality(old.earlier) - 14):],
    assets = excluded.assets, failed = excluded.failed, pending = excluded.pending,
    samples = excluded.samples, bpm = excluded.bpm, bpm_confidence = excluded.bpm_confidence,
    bpm_error = excluded.bpm_error, key = excluded.key,
    key_confidence = excluded.key_confidence, camelot = excluded.camelot, loudness = excluded.loudness,
    warnings = excluded.warnings;
end $$;

create function list_new_jobs() returns trigger language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  perform list_tracks(array_agg(asset_guid), array_agg(id))
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
  perform list_tracks(array_agg(asset_guid), array_agg(opened))
  from (
    select after.asset_guid, max(after.id)
      filter (where after.run > before.run or after.wanted::text <> before.wanted::text) as opened
    from new_rows after join old_rows before using (id)
    where (after.state, after.run, after.wanted::text, after.verdicts::text)
        <> (before.state, before.run, before.wanted::text, before.verdicts::text)
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

-- Keeps the counts of listed tracks.
create type listed_count as (state text, assets int, camelot text, warnings text[], change int);

create function count_listed() returns trigger language plpgsql as $$
declare
  changes listed_count[];
begin
  if tg_op <> 'DELETE' then
    select array_agg((state, assets, camelot, warnings, 1)::listed_count) into changes from new_rows;
  end if;
  if tg_op <> 'INSERT' then
    select changes || array_agg((state, assets, camelot, warnings, -1)::listed_count) into changes from old_rows;
  end if;
  insert into kept_count as kept (kind, value, shard, count)
  select kind, value, own_shard(), sum(change)
  from unnest(changes) each (state, assets, camelot, warnings, change),
    lateral (values ('state', state), ('assets', assets::text), ('camelot', camelot), ('warnings', warnings::text))
      counted (kind, value)
  where value is not null
  group by kind, value having sum(change) <> 0
  order by kind, value
  on conflict (kind, value, shard) do update set count = kept.count + excluded.count;
  return null;
end $$;

create trigger listing_inserted after insert on track_listing
  referencing new table as new_rows for each statement execute function count_listed();
create trigger listing_updated after update on track_listing
  referencing old table as old_rows new table as new_rows
  for each statement execute function count_listed();
create trigger listing_deleted after delete on track_listing
  referencing old table as old_rows for each statement execute function count_listed();
