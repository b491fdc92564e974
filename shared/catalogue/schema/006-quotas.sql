-- Jobs above the quota of their tenant wait here, each as the message that will be sent. A job whose row is there has the
-- state `queued` until then, and nothing watches it.
create table waiting_job (
  number bigint generated always as identity primary key,
  tenant text not null,
  job text collate "C" not null,
  -- Urgent ones go first.
  urgent boolean not null,
  message json not null
);
create index waiting_job_order on waiting_job (tenant, urgent desc, number);

-- Not validated, because every row that was allowed before is allowed now: nothing is read.
alter table job drop constraint job_state_check;
alter table job add constraint job_state_check
  check (state in ('queued', 'accepted', 'running', 'done', 'partial', 'failed', 'cancelled')) not valid;

-- The tenant in whose quota a job counts; null: in none, because it has ended, waits, or is a backfill.
create function quota_of(request json, state text, ended_at timestamptz, dead_lettered_run bigint, run bigint) returns text
language sql immutable as $$
  select case when ended_at is null and state <> 'queued' and coalesce(dead_lettered_run < run, true)
      and coalesce(request ->> 'lane', 'new') <> 'backfill'
    then coalesce(request ->> 'tenant', 'default') end
$$;

-- Keeps how many jobs of each tenant are open.
create function count_open_jobs() returns trigger language plpgsql as $$
declare
  changes text[];
  gone text[] := '{}';
begin
  select array_agg(quota_of(request, state, ended_at, dead_lettered_run, run)) into changes from new_rows;
  if tg_op = 'UPDATE' then
    select array_agg(quota_of(request, state, ended_at, dead_lettered_run, run)) into gone from old_rows;
  end if;
  insert into kept_count as kept (kind, value, shard, count)
  select 'open', tenant, own_shard(), sum(change)
  from (select unnest(changes) as tenant, 1 as change union all select unnest(gone), -1) each
  where tenant is not null
  group by tenant having sum(change) <> 0
  order by tenant
  on conflict (kind, value, shard) do update set count = kept.count + excluded.count;
  return null;
end $$;

create trigger job_counted after insert on job
  referencing new table as new_rows for each statement execute function count_open_jobs();
create trigger job_recounted after update on job
  referencing old table as old_rows new table as new_rows
  for each statement execute function count_open_jobs();

-- Those that are open: each of them is watched. Nobody else writes jobs before this ends.
insert into kept_count (kind, value, shard, count)
select 'open', tenant, 0, count(*)
from (
  select quota_of(request, state, ended_at, dead_lettered_run, job.run) as tenant
  from watch join job on job.id = watch.job
) each
where tenant is not null group by tenant;
