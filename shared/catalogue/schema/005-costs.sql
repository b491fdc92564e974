-- What steps have taken, for each day (UTC), tenant, campaign, route, step and assets: some dozen rows a day, which are kept
-- for good.
create table cost (
  day date,
  tenant text,
  -- Its id; empty: none.
  campaign text,
  -- Empty where it is not known.
  route text,
  step text,
  -- The assets that the step worked on, sorted, with commas; empty for steps that make none.
  assets text,
  count bigint not null,
  ms double precision not null,
  core_ms double precision not null,
  bytes_read bigint not null,
  bytes_written bigint not null,
  bytes_from_cloud bigint not null,
  bytes_to_cloud bigint not null,
  store_operations bigint not null,
  primary key (day, tenant, campaign, route, step, assets)
) with (fillfactor = 50);

-- Adds what is recorded, whichever release of a service records it. An event whose job is not known is of no campaign and
-- of the tenant `default`.
create function add_costs() returns trigger language plpgsql
-- By keys alone: plans are kept, and may have been made while the tables were empty.
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  insert into cost as kept (day, tenant, campaign, route, step, assets, count, ms, core_ms,
    bytes_read, bytes_written, bytes_from_cloud, bytes_to_cloud, store_operations)
  select (at at time zone 'utc')::date, coalesce(job.request ->> 'tenant', 'default'),
    case when job.campaign is null then '' else job.request_id end,
    coalesce(new_rows.route, ''), step,
    case when step in ('analyze', 'encode') then array_to_string(array(
      select distinct split_part(unit, '@', 1) from unnest(units) unit order by 1), ',') else '' end,
    count(*), sum(ms), coalesce(sum(cpu_ms), 0),
    coalesce(sum(bytes_read), 0), coalesce(sum(bytes_written), 0),
    coalesce(sum(bytes_from_cloud), 0), coalesce(sum(bytes_to_cloud), 0), coalesce(sum(store_operations), 0)
  from new_rows left join job on job.id = new_rows.job
  group by 1, 2, 3, 4, 5, 6
  order by 1, 2, 3, 4, 5, 6
  on conflict (day, tenant, campaign, route, step, assets) do update set
    count = kept.count + excluded.count, ms = kept.ms + excluded.ms, core_ms = kept.core_ms + excluded.core_ms,
    bytes_read = kept.bytes_read + excluded.bytes_read,
    bytes_written = kept.bytes_written + excluded.bytes_written,
    bytes_from_cloud = kept.bytes_from_cloud + excluded.bytes_from_cloud,
    bytes_to_cloud = kept.bytes_to_cloud + excluded.bytes_to_cloud,
    store_operations = kept.store_operations + excluded.store_operations;
  return null;
end $$;

create trigger event_recorded after insert on event
  referencing new table as new_rows for each statement execute function add_costs();
