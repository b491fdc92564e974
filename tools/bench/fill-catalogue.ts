import type { Database } from '#shared/catalogue/database.ts'

/**
 * Fills an empty, migrated catalogue as if the chain had made five assets of each of `tracks` tracks, by SQL alone: a
 * million takes a minute or two, because indexes are built afterwards and tables that are truncated in the same
 * transaction need no log. BPM, keys, lengths, names and states are distributed as in a large catalogue of dance and pop
 * music; one track in a hundred is stale, one in five hundred lacks an asset, one in a thousand has failed. There have
 * been 300 campaigns, the latest of which has got halfway with a tenth of all tracks, and costs of three years. Statistics
 * are made at the end.
 */
export async function fillCatalogue(database: Database, tracks: number): Promise<void> {
  await database.transaction(async (query) => {
    for (const [name, value] of Object.entries(SETTINGS))
      await query({ text: `set local ${name} = '${value}'` })
    const run = (text: string, values: readonly unknown[] = []) =>
      query<{ text: string }>({ text, waitMs: LONGEST_MS }, values)
    await run(`truncate ${[...BIG_TABLES, 'event'].join(', ')} restart identity`)
    for (const table of TRIGGERED) await run(`alter table ${table} disable trigger user`)
    const indexes = await query<{ drop: string; make: string }>({ text: INDEXES }, [BIG_TABLES])
    for (const { drop } of indexes) await run(drop)
    await run('select setseed(0.5)')
    for (const text of STATEMENTS) await run(text, text.includes('$1') ? [tracks] : [])
    for (const { make } of indexes) await run(make)
    for (const table of TRIGGERED) await run(`alter table ${table} enable trigger user`)
    await run('drop table fact')
  })
  await database.query({ text: 'vacuum analyze', waitMs: LONGEST_MS })
}

const LONGEST_MS = 4 * 3600_000

const SETTINGS = {
  statement_timeout: '0',
  work_mem: '256MB',
  maintenance_work_mem: '512MB',
}

/** Their triggers are off meanwhile: each looks rows up by indexes that are not there. */
const TRIGGERED = ['job', 'track_listing', 'event']

/** Their indexes are built when the rows are there. */
const BIG_TABLES = [
  ...['job', 'track', 'master', 'asset', 'track_listing', 'track_place'],
  ...['release', 'release_job'],
]

/** How to drop each index of some tables, those of keys included, and how to make it again. */
const INDEXES = `
  select
    case when named.oid is null then format('drop index %s', indexrelid::regclass)
      else format('alter table %s drop constraint %I', indrelid::regclass, conname) end as drop,
    case when named.oid is null then pg_get_indexdef(indexrelid)
      else format('alter table %s add constraint %I %s', indrelid::regclass, conname, pg_get_constraintdef(named.oid))
      end as make
  from pg_index left join pg_constraint named on conindid = indexrelid
  where indrelid = any ($1::regclass[]) order by indrelid, indexrelid`

const SETS = `
  insert into asset_set (made, failed) values
    ('{aac-128@1,bpm@3,key@1,loudness@1,waveform@1}', '{}'),
    ('{aac-128@1,bpm@2,key@1,loudness@1,waveform@1}', '{}'),
    ('{aac-128@1,bpm@3,flac@1,key@1,loudness@1,waveform@1}', '{}'),
    ('{aac-128@1,bpm@3,key@1,loudness@1}', '{}'),
    ('{bpm@3,key@1,loudness@1,waveform@1}', '{aac-128@1}'),
    ('{}', '{}')`

/** What each track is, so that all tables say the same of it. The stale ones are those that changed first. */
const FACTS = `
  create temporary table fact as
  select n, md5(n::text)::uuid::text as guid, substr(md5('job' || n), 1, 24) as job,
    md5('request' || n)::uuid::text as request, 'g' || 1600000000000000 + n * 7 as revision,
    now() - (1 + $1::int - n) * interval '1 second' as at, case when n % 10 = 0 then 1 else 1000 + n / 12 end as release,
    case when n <= $1::int * 0.01 then 2 when n % 1000 = 3 then 5 when n % 5000 = 7 then 6
      when n % 500 = 11 then 4 when n % 2000 = 13 then 3 else 1 end as assets,
    case when r < 0.55 then 120 + 12 * b * c when r < 0.75 then 170 + 8 * b when r < 0.95 then 80 + 30 * b
      else 60 + 140 * c end::numeric(6, 2)::double precision as bpm,
    least(1, 0.4 + 0.6 * sqrt(b)) as bpm_confidence, least(1, 0.2 + 0.8 * sqrt(c)) as key_confidence,
    (44100 * (120 + 240 * (b + c) / 2 + case when r > 0.999 then 5000 * b else 0 end))::bigint as samples,
    (array['8A','8B','4A','9A','10A','5A','7A','11B','3A','6A','2A','9B','1A','12A','10B','7B','11A','5B','12B','6B','4B','1B','3B','2B'])[1 + floor(24 * c * c)::int] as camelot,
    -4 - 10 * b as loudness,
    pg_temp.word(floor(1600 * b * b * b)::int) || ' ' || pg_temp.word(floor(1600 * c * c * c)::int) as title,
    pg_temp.word(floor(1600 * r * r)::int) || ' ' || pg_temp.word(floor(1600 * r * b)::int) as artist
  from (select n, random() as r, random() as b, random() as c from generate_series(1, $1::int) n) drawn`

const WORD = `
  create or replace function pg_temp.word(i int) returns text language sql immutable as $$
    select initcap((array['lo','ra','mi','ve','ta','no','sol','ki','den','wa','bra','shi','el','du','mon','fer','gla','pe','ru','zo','an','tri','quo','ba','ny','col','hu','ste','jo','vin','cre','oma','til','gre','sa','po','le','dri','ku','ash'])[1 + i % 40]
      || (array['ren','dow','light','mer','tus','nic','ver','lan','sky','don','ria','fall','ber','tone','ven','lis','mar','ket','ros','win','bel','tor','gan','ley','ster','rin','mos','wood','der','pha','nix','ton','lia','gram','sen','dal','fon','bay','rum','zen'])[1 + i / 40 % 40])
  $$`

const TRACKS = `
  insert into track (asset_guid, revision, accepted_at, first_seen, title, title_at, title_found, artist, artist_at, artist_found)
  select guid, revision, at, at, title, at, n % 3 = 0, artist, at, n % 3 = 0 from fact`

const MASTERS = `
  insert into master (id, asset_guid, revision, uri, samples, layout, warnings, first_seen)
  overriding system value
  select n, guid, revision, 'gs://masters/' || guid || '.wav', samples, 'WAV 16-bit 44100 Hz 2 channels',
    case when n % 300 = 0 then '[{"code":"CUT_SHORT","sentence":"the file ends early"}]' else '[]' end::jsonb, at
  from fact`

const MASTER_IDS = `select setval(pg_get_serial_sequence('master', 'id'), $1::int)`

const ASSETS = `
  insert into asset (master, asset, version, state, files, result, code, sentence, recorded_at)
  select n, split_part(unit, '@', 1), split_part(unit, '@', 2)::int,
    case when is_made then 'made' else 'failed' end,
    case when is_made then case when unit like 'aac%' then '{"m4a":6900000}' when unit like 'wave%' then '{"json":40000,"png":22000}' else '{"json":180}' end end::json,
    case when unit like 'bpm%' then format('{"bpm":%s,"confidence":%s,"windows":[{"from":0,"to":433}],"firstBeatMs":213}', bpm, bpm_confidence)
      when unit like 'key%' then format('{"key":"A minor","camelot":"%s","openKey":"1m","confidence":%s}', camelot, key_confidence)
      when unit like 'loud%' then format('{"integrated":%s,"range":6.2,"truePeak":-0.4}', loudness) end::json,
    case when not is_made then 'RENDER_FAILED' end, case when not is_made then 'the encoder said no' end, at
  from fact join asset_set sets on sets.id = fact.assets,
    lateral (select unit, true as is_made from unnest(made) unit union all select unit, false from unnest(failed) unit) units`

const JOBS = `
  insert into job (id, request_id, asset_guid, run, route, request, wanted, verdicts, state, revision,
    accepted_at, ended_at, announcement, announced_at)
  select job, request, guid, 1, 'cloud', json_build_object('release_id', release, 'asset_id', n, 'title', title, 'artist', artist),
    '{"bpm":1,"key":1,"loudness":1,"waveform":1,"aac-128":1}',
    '{"bpm":{"version":3},"key":{"version":1},"loudness":{"version":1},"waveform":{"version":1},"aac-128":{"version":1}}',
    case when assets = 6 then 'accepted' when assets = 5 then 'partial' else 'done' end,
    revision, at - interval '20 seconds', case when assets <> 6 then at end, md5(job), case when assets <> 6 then at end
  from fact`

/** Of a dozen tracks; a client that fills in the same number everywhere has made one of a tenth of all tracks. */
const RELEASES = `
  insert into release (release_id, first_seen, changed)
  select release, min(at), date_trunc('milliseconds', max(at)) from fact group by 1`

const RELEASE_JOBS = `
  insert into release_job (release_id, asset_guid, job) select release, guid, job from fact`

const LISTING = `
  insert into track_listing (asset_guid, job, request_id, asked_at, state, updated_at, assets, failed,
    pending, samples, bpm, bpm_confidence, bpm_error, key, key_confidence, camelot, loudness, warnings, earlier, words)
  select guid, job, request, at, case when assets = 6 then 'running' when assets = 5 then 'partial' when n % 1000 = 17 then 'failed' else 'done' end,
    at, assets, case when assets = 5 then '{aac-128}' else '{}' end::text[],
    case when assets = 6 then '{aac-128,bpm,key,loudness,waveform}' else '{}' end::text[], samples,
    bpm, bpm_confidence, 0.0004, 'A minor', key_confidence, camelot, loudness,
    case when n % 300 = 0 then '{CUT_SHORT}' else '{}' end::text[],
    case when n > $1::int * 0.75 then array[at - $1::int * 0.7 * interval '1 second'] else '{}' end, listed_words(title, artist)
  from fact`

/** The latest quarter of the tracks stood among the older ones before. */
const PLACES = `
  insert into track_place (asset_guid, place, until)
  select guid, at - $1::int * 0.7 * interval '1 second', at from fact where n > $1::int * 0.75`

const WATCH = `
  insert into watch (job, run, route, since, begun)
  select job, 1, 'cloud', at, n % 3 = 0 from fact where assets = 6`

const EVENT_DAYS = `
  select add_event_day((now() at time zone 'utc')::date - day)
  from generate_series(0, $1::int / 864000) day`

/** Of the latest tenth of the tracks. */
const EVENTS = `
  insert into event (at, id, step, verdict, job, track, run, route, attempt, units, worker, ms, cpu_ms,
    bytes_read, bytes_written, store_operations)
  select at + step * interval '1 s', gen_random_uuid(),
    (array['ingest','stage','analyze','analyze','encode','encode','publish'])[step],
    case when step = 1 then 'accepted' else 'done' end,
    job, guid, 1, 'cloud', 1, case when step between 2 and 6 then '{bpm@3,key@1}' else '{}' end::text[],
    'analyze-7d9f8c6b5-x2x4z/1', 100 * step * random(), 80 * step, 76000000, 300, 4
  from fact, generate_series(1, 7) step where n > $1::int * 0.9`

const COUNTS = `
  insert into kept_count (kind, value, shard, count)
  select kind, value, shard, count(*) from track_listing,
    lateral (values ('state', state), ('assets', assets::text), ('camelot', camelot), ('warnings', warnings::text)) counted (kind, value),
    lateral (select abs(hashtext(asset_guid)) % 8 as shard) sharded
  where value is not null group by 1, 2, 3`

const MINUTES = `
  insert into minute_count (minute, shard, made, failed, announced)
  select date_trunc('minute', now()) - minute * interval '1 minute', shard, 300, 1, 60
  from generate_series(0, least(28, $1::int / 7000) * 1440) minute, generate_series(0, 3) shard`

const activityOf = (table: string, seconds: number) => `
  insert into ${table}
  select to_timestamp(floor(extract(epoch from now()) / ${seconds}) * ${seconds}) - bucket * ${seconds} * interval '1 second', step, verdict,
    'cloud', asset, class, 40, 40 * 2 ^ (class / 4.0::float), 2 ^ (class / 4.0::float), 30 * 2 ^ (class / 4.0::float), 0, 0, 0, 0, 0, 0, 0
  from generate_series(1, least(28, $1::int / 7000) * 86400 / ${seconds}) bucket, unnest('{stage,analyze,encode,publish}'::text[]) step,
    unnest('{done,skipped}'::text[]) verdict, unnest('{""}'::text[]) asset, generate_series(10, 38, 4) class`

const MINUTES_OF_EVENTS = `
  insert into activity_minute
  select date_trunc('minute', at), step, verdict, class_of(ms), count(*), sum(ms), max(ms), coalesce(sum(cpu_ms), 0), 0, 0
  from event where at >= now() - interval '2 days' group by 1, 2, 3, 4`

const LETTERS = `
  insert into dead_letter (id, message, published_at, step, code, reason, attempt, job, run, request, body, attributes)
  select md5(n::text), n::text, at, 'encode', 'RENDER_FAILED', 'the encoder said no', 1, job, 1,
    json_build_object('asset_guid', guid, 'derivative_assets', '{aac-128}'::text[])::jsonb, '', '{}'
  from fact where assets = 5 limit 1000`

const CAMPAIGNS = `
  insert into campaign (id, name, tenant, state, source, derivative_assets, items, refused, released, enumerated,
    looked_at, created_at, enumerated_at, started_at, resumed_at, ended_at, by)
  select 'campaign-' || n, 'the pass ' || n, case when n % 2 = 0 then 'default' else 'a label' end,
    case when n = 300 then 'running' when n = 299 then 'paused' else 'done' end,
    '{"kind":"manifest","uri":"gs://masters/list.ndjson"}', '{bpm}', items, 2000, case when n = 300 then items / 2 else items end,
    1, items + 2000, at, at, at, at, case when n < 299 then at + interval '1 day' end, 'an operator'
  from generate_series(1, 300) n,
    lateral (select case when n = 300 then $1::int / 10 else 100 end as items, now() - (300 - n) * interval '3 days' as at) said`

const ITEMS = `
  insert into campaign_item (campaign, place, asset_guid, request)
  select number, row_number() over (partition by number order by guid), guid, json_build_object('title', title)
  from campaign join fact on number = 300 and fact.n > $1::int - items or number < 300 and fact.n <= items`

const REFUSALS = `
  insert into campaign_refusal (campaign, line, code, sentence, excerpt)
  select number, line, 'BAD_LINE', 'the line is no JSON', '{"asset_guid":'
  from campaign, generate_series(1, 2000) line where number > 280`

const OUTCOMES = `
  insert into kept_count (kind, value, shard, count)
  select 'campaign', number || ' ' || outcome, shard, released / 40 from campaign,
    unnest('{done,partial,failed}'::text[]) outcome, generate_series(0, 7) shard`

const PACE = `
  insert into campaign_pace (campaign, at, shard, ended)
  select 300, to_timestamp(floor(extract(epoch from now()) / 10) * 10) - slot * interval '10 seconds', shard, 20
  from generate_series(0, 200) slot, generate_series(0, 7) shard`

const COSTS = `
  insert into cost
  select current_date - (3 * (300 - number) + day)::int, tenant, case when is_campaign then id else '' end, 'cloud', step, assets,
    1000, 4e6, 2e6, 1e9, 1e8, 0, 0, 5000
  from campaign, generate_series(0, 2) day, unnest('{t,f}'::boolean[]) is_campaign,
    unnest('{ingest,stage,analyze,encode,publish}'::text[]) step, unnest('{bpm,"bpm,key"}'::text[]) assets`

const STATEMENTS = [
  WORD,
  SETS,
  FACTS,
  'analyze fact',
  TRACKS,
  MASTERS,
  MASTER_IDS,
  ASSETS,
  JOBS,
  RELEASES,
  RELEASE_JOBS,
  LISTING,
  PLACES,
  WATCH,
  EVENT_DAYS,
  EVENTS,
  COUNTS,
  MINUTES,
  MINUTES_OF_EVENTS,
  activityOf('activity', 600),
  activityOf('activity_day', 86_400),
  LETTERS,
  CAMPAIGNS,
  ITEMS,
  REFUSALS,
  OUTCOMES,
  PACE,
  COSTS,
]
