-- Lists of millions of tracks, and figures over weeks: DESIGN.md, chapter 9.

-- An update of a row finds room where vacuuming has made some; pages that are filled for good are smaller by a third.
alter table job set (fillfactor = 90);
alter table track_listing set (fillfactor = 90);

-- What events come to in a day (UTC): `bucket` is its beginning. What services of 0.2 record until they have been
-- replaced is in the ten minutes alone.
create table activity_day (like activity including all) with (fillfactor = 80);
insert into activity_day
select to_timestamp(floor(extract(epoch from bucket) / 86400) * 86400), step, verdict, route, asset, class,
  sum(count), sum(ms), max(longest_ms), sum(core_ms), sum(over_budget), sum(over_hard_limit),
  sum(bytes_read), sum(bytes_written), sum(bytes_from_cloud), sum(bytes_to_cloud), sum(store_operations)
from activity group by 1, 2, 3, 4, 5, 6;

-- And in a minute, for the last two days: a busy quarter of an hour has hundreds of thousands of events. Those of the last
-- two hours are there from the start, as far as services of 0.2 have recorded them by now.
create table activity_minute (
  minute timestamptz,
  step text,
  verdict text,
  class int,
  count bigint not null,
  ms double precision not null,
  longest_ms double precision not null,
  core_ms double precision not null,
  over_budget bigint not null,
  over_hard_limit bigint not null,
  primary key (minute, step, verdict, class)
) with (fillfactor = 80);
insert into activity_minute
select date_trunc('minute', at), step, verdict, class_of(ms), count(*), sum(ms), max(ms), coalesce(sum(cpu_ms), 0),
  count(*) filter (where ms > 10000), count(*) filter (where ms > 13000)
from event where at >= now() - interval '2 hours' group by 1, 2, 3, 4;

-- Words of title and artist stand in the list, so that one that is read until it is full finds them beside the rest; null
-- without any. Those of tracks that are there come in batches, with the next migration.
alter table track_listing add column words tsvector;

create function listed_words(title text, artist text) returns tsvector language sql immutable as $$
  select nullif(strip(words_of(title, artist)), '')
$$;

-- Where tracks stood in lists before, and until when, for a day or two. A page that follows needs those that were still
-- there at the first page. They are read by how long they stood: of those that stood about as long, those that had left
-- before are together, and millions of them are passed over at once.
create table track_place (
  asset_guid text collate "C" not null,
  place timestamptz not null,
  until timestamptz not null
);

-- How long a track stood at a place: two classes to an octave of seconds.
create function place_class(place timestamptz, until timestamptz) returns int language sql immutable as $$
  select floor(2 * ln(greatest(extract(epoch from until - place)::double precision, 1)) / ln(2))::int
$$;
create index track_place_class on track_place (place_class(place, until), place, asset_guid);
create index track_place_until on track_place using brin (until);

-- As before, and it notes the words of a track and the place that it leaves.
create or replace function list_tracks(guids text[], jobs text[]) returns void language plpgsql
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

  with written as (
  insert into track_listing as old (asset_guid, job, request_id, asked_at, state, updated_at,
    assets, failed, pending, samples, bpm, bpm_confidence, bpm_error, key, key_confidence,
    camelot, loudness, warnings, words)
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
    coalesce(array(select distinct each ->> 'code' from jsonb_array_elements(master.warnings) each order by 1), '{}'),
    listed_words(track.title, track.artist)
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
    warnings = excluded.warnings, words = excluded.words
  returning asset_guid, earlier[cardinality(earlier)] as place, updated_at as until
  )
  insert into track_place (asset_guid, place, until)
  select asset_guid, place, until from written where place is not null;
end $$;
