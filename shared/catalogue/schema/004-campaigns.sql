-- Campaigns: frozen lists of tracks that are worked off in the lane `backfill` (DESIGN.md, chapter 9).
create table campaign (
  number bigint generated always as identity primary key,
  -- Also the request_id of all of its jobs.
  id text collate "C" not null unique,
  tenant text not null default 'default',
  name text not null,
  state text not null
    check (state in ('enumerating', 'draft', 'forecast', 'running', 'paused', 'cancelled', 'done')),
  -- Whether it runs as soon as it is enumerated.
  starts boolean not null default false,
  -- Why it is paused: a code, and a sentence.
  paused_code text,
  paused_sentence text,
  source json not null,
  -- What is made of items that do not say.
  derivative_assets text[] not null,
  -- How far its source has been read; null before.
  cursor json,
  -- Lines of the source, or tracks, that have been looked at; and how much of it that is, 0 to 1.
  looked_at bigint not null default 0,
  enumerated double precision not null default 0,
  -- Whether an operator has let it go on in spite of its many refused lines.
  allows_refused boolean not null default false,
  items bigint not null default 0,
  refused bigint not null default 0,
  -- The place up to which items have been published.
  released bigint not null default 0,
  weight double precision not null default 1 check (weight > 0),
  -- Items a minute at most; null: no limit.
  rate double precision check (rate > 0),
  -- Up to when the rate has been used.
  paced_until timestamptz,
  -- {"core_seconds", "dollars"}, both optional: what it may cost.
  budget json,
  created_at timestamptz not null default clock_timestamp(),
  -- When the whole source had been read.
  enumerated_at timestamptz,
  -- When it ran for the first time, and the last time.
  started_at timestamptz,
  resumed_at timestamptz,
  ended_at timestamptz,
  by text not null
);

-- An item has no state: it waits while its place is higher than `released` of its campaign; then its job says.
create table campaign_item (
  campaign bigint,
  -- From 1, without gaps.
  place bigint,
  asset_guid text collate "C" not null,
  -- What the EncodeJob has beside the track and the campaign's own; null: nothing.
  request json,
  primary key (campaign, place)
);
create unique index campaign_item_track on campaign_item (campaign, asset_guid);

-- What could not become an item, or could not be released.
create table campaign_refusal (
  campaign bigint,
  number bigint generated always as identity,
  -- The line of the manifest; null where there is none.
  line bigint,
  asset_guid text,
  code text not null,
  sentence text not null,
  -- The beginning of the line.
  excerpt text,
  primary key (campaign, number)
);

-- Tracks whose jobs were under way when their campaign was paused or cancelled. They are released first.
create table campaign_withdrawn (
  campaign bigint,
  asset_guid text collate "C",
  primary key (campaign, asset_guid)
);

-- How many jobs ended in ten seconds. `at` is their beginning.
create table campaign_pace (
  campaign bigint,
  at timestamptz,
  shard int,
  ended bigint not null,
  primary key (campaign, at, shard)
) with (fillfactor = 80);

-- The campaign of a job follows from its request, whoever writes the row. All of this is done by triggers: services of
-- this release also work on a catalogue whose migrations have not come so far.
alter table job add column campaign bigint;

create function find_campaign() returns trigger language plpgsql as $$
begin
  new.campaign = (select number from campaign where id = new.request_id);
  return new;
end $$;
create trigger job_of_campaign before insert on job
  for each row when (new.request_id like 'campaign-%') execute function find_campaign();

-- The open jobs of campaigns: few, even of a campaign of millions.
create table campaign_open (
  campaign bigint,
  job text collate "C",
  primary key (campaign, job)
);

-- What became of a job; null while it is open.
create function outcome_of(state text, ended_at timestamptz, dead_lettered_run bigint, run bigint) returns text
language sql immutable as $$
  select case when ended_at is not null then state when dead_lettered_run >= run then 'failed' end
$$;

create function open_campaign_jobs() returns trigger language plpgsql as $$
begin
  insert into campaign_open (campaign, job)
  select campaign, id from new_rows
  where campaign is not null and outcome_of(state, ended_at, dead_lettered_run, run) is null
  order by 1, 2
  on conflict do nothing;
  return null;
end $$;
create trigger job_opened after insert on job
  referencing new table as new_rows for each statement execute function open_campaign_jobs();

-- Keeps which jobs are open, which were withdrawn, how many ended how, and when.
create function follow_campaign_jobs() returns trigger language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  if not exists (select from new_rows where campaign is not null) then return null; end if;
  with change as materialized (
    select after.campaign, id, after.asset_guid, after.request_id, after.cancelled_at,
      outcome_of(before.state, before.ended_at, before.dead_lettered_run, before.run) as was,
      outcome_of(after.state, after.ended_at, after.dead_lettered_run, after.run) as became
    from new_rows after join old_rows before using (id)
    where after.campaign is not null
  ), closed as (
    delete from campaign_open using change
    where was is null and became is not null
      and campaign_open.campaign = change.campaign and campaign_open.job = change.id
  ), opened as (
    insert into campaign_open (campaign, job)
    select campaign, id from change where was is not null and became is null
    order by 1, 2
    on conflict do nothing
  ), withdrawn as (
    -- With the whole campaign, and not one by one.
    insert into campaign_withdrawn (campaign, asset_guid)
    select campaign, asset_guid from change
    where was is null and became = 'cancelled' and exists (
      select from cancellation
      where cancellation.id = request_id and kind = 'request' and before = cancelled_at)
    order by 1, 2
    on conflict do nothing
  ), counts as (
    select campaign, outcome, sum(difference)::int as difference
    from change, lateral (values (was, -1), (became, 1)) each (outcome, difference)
    where was is distinct from became and outcome is not null
    group by 1, 2
  ), counted as (
    insert into kept_count as kept (kind, value, shard, count)
    select 'campaign', campaign || ' ' || outcome, own_shard(), difference from counts
    order by 2
    on conflict (kind, value, shard) do update set count = kept.count + excluded.count
  )
  insert into campaign_pace as kept (campaign, at, shard, ended)
  select campaign, to_timestamp(floor(extract(epoch from now()) / 10) * 10), own_shard(), sum(difference)
  from counts where outcome <> 'cancelled' group by campaign having sum(difference) > 0
  order by 1
  on conflict (campaign, at, shard) do update set ended = kept.ended + excluded.ended;
  return null;
end $$;
create trigger job_followed after update on job
  referencing old table as old_rows new table as new_rows
  for each statement execute function follow_campaign_jobs();
