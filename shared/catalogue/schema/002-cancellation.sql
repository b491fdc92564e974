-- What has been cancelled: one row for each time, however many jobs it ends. A run is cancelled when its job was accepted
-- at or before `before` of a row of its job or its request.
create table cancellation (
  -- Ascending in the order of commits, because who writes takes a lock first: a reader who has seen one has missed none.
  number bigint generated always as identity primary key,
  -- 'job' or 'request'; later releases may have others.
  kind text not null,
  id text collate "C" not null,
  -- In whole milliseconds, like the times at which jobs are accepted.
  before timestamptz not null,
  at timestamptz not null default clock_timestamp(),
  by text not null,
  reason text,
  -- When no job was left that it ends.
  ended_at timestamptz
);
create index cancellation_of on cancellation (id, kind);
create index cancellation_open on cancellation (number) where ended_at is null;

-- `before` of the cancellation that ended the job last. The job is cancelled while `accepted_at` is not later than that:
-- asked for again, it has a later one.
alter table job add column cancelled_at timestamptz;

-- Not validated, because every row that was allowed before is allowed now: nothing is read.
alter table job drop constraint job_state_check;
alter table job add constraint job_state_check
  check (state in ('accepted', 'running', 'done', 'partial', 'failed', 'cancelled')) not valid;
alter table track_listing drop constraint track_listing_state_check;
alter table track_listing add constraint track_listing_state_check
  check (state in ('running', 'done', 'partial', 'failed', 'cancelled')) not valid;

-- As before; and a job that is asked for again takes over its track.
create or replace function list_changed_jobs() returns trigger language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  perform list_tracks(array_agg(asset_guid), array_agg(opened))
  from (
    select after.asset_guid, max(after.id)
      filter (where after.run > before.run or after.wanted::text <> before.wanted::text
        or after.accepted_at > before.accepted_at) as opened
    from new_rows after join old_rows before using (id)
    where (after.state, after.run, after.wanted::text, after.verdicts::text)
        <> (before.state, before.run, before.wanted::text, before.verdicts::text)
      or after.dead_lettered_run is distinct from before.dead_lettered_run
      or (after.ended_at is null) <> (before.ended_at is null)
      -- Written as it was: its track has another name.
      or (after.announced_at, after.claimed_until) is not distinct from (before.announced_at, before.claimed_until)
    group by after.asset_guid
  ) as news;
  return null;
end $$;
