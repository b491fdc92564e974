-- Releases, as far as jobs name them (DESIGN.md, chapter 9). What becomes of one follows from the rows of its jobs.
create table release (
  release_id bigint primary key,
  first_seen timestamptz not null,
  -- When a job of it was added, or came to another state. In whole milliseconds, like the places of pages.
  changed timestamptz not null
) with (fillfactor = 80);
create index release_changed on release (changed, release_id);

-- The jobs of a release, track by track.
create table release_job (
  release_id bigint,
  asset_guid text collate "C",
  job text collate "C",
  primary key (release_id, asset_guid, job)
);

-- The release that a request names; null: none.
create function release_of(request json) returns bigint language sql immutable as $$
  select (request ->> 'release_id')::bigint
$$;

-- Adds jobs to releases; `since`: when each was accepted, for those of long ago. Doing it again, or in another order, changes
-- nothing but `changed`, whose clock is read when the row is held: it ascends in the order of commits.
create function add_to_releases(ids bigint[], guids text[], jobs text[], since timestamptz[] default null) returns void
language plpgsql as $$
begin
  if ids is null then return; end if;
  insert into release as kept (release_id, first_seen, changed)
  select id, coalesce(min(at), date_trunc('milliseconds', clock_timestamp())),
    coalesce(max(at), date_trunc('milliseconds', clock_timestamp()))
  from unnest(ids, since) each (id, at) group by id order by id
  on conflict (release_id) do update set
    first_seen = least(kept.first_seen, excluded.first_seen),
    changed = greatest(kept.changed,
      case when since is null then date_trunc('milliseconds', clock_timestamp()) else excluded.changed end);
  insert into release_job (release_id, asset_guid, job)
  select id, guid, job from unnest(ids, guids, jobs) each (id, guid, job) order by 1, 2, 3
  on conflict do nothing;
end $$;

-- Whichever release of a service writes the job.
create function add_jobs_to_releases() returns trigger language plpgsql as $$
begin
  perform add_to_releases(array_agg(release_id), array_agg(asset_guid), array_agg(id))
  from (select release_of(request) as release_id, asset_guid, id from new_rows) named
  where release_id is not null;
  return null;
end $$;

create function follow_jobs_of_releases() returns trigger language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  if not exists (select from new_rows where release_of(request) is not null) then return null; end if;
  perform add_to_releases(array_agg(release_id), array_agg(asset_guid), array_agg(id))
  from (
    select release_of(after.request) as release_id, after.asset_guid, id
    from new_rows after join old_rows before using (id)
    where release_of(after.request) is distinct from release_of(before.request)
      or after.accepted_at <> before.accepted_at
      or outcome_of(after.state, after.ended_at, after.dead_lettered_run, after.run)
        is distinct from outcome_of(before.state, before.ended_at, before.dead_lettered_run, before.run)
  ) named
  where release_id is not null;
  return null;
end $$;

-- By their names the last triggers of a statement: who waits for the row of a release holds everything else by then, and
-- who has it waits for nothing more, so that there are no deadlocks.
create trigger job_within_release after insert on job
  referencing new table as new_rows for each statement execute function add_jobs_to_releases();
create trigger job_within_release_still after update on job
  referencing old table as old_rows new table as new_rows
  for each statement execute function follow_jobs_of_releases();
