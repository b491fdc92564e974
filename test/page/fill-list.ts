import { keyName } from '#shared/audio/musical-keys.ts'
import type { Database } from '#shared/catalogue/database.ts'

const FIRST = ['Amber', 'Glass', 'Quiet', 'Neon', 'Paper', 'Silver', 'Slow', 'Winter', 'Copper']
const SECOND = ['Harbour', 'Motion', 'Garden', 'Signal', 'Meridian', 'Static', 'Lantern']
const ARTISTS = ['Kontur', 'Oda & Field', 'Halden', 'Ines Vael', 'The Lower Rooms']

/** Inserts `many` tracks, each ten minutes older than the one before, as if the chain had processed them. */
export async function fillList(database: Database, many: number): Promise<void> {
  const keys = Array.from({ length: 24 }, (_, i) => keyName(i % 12, i < 12 ? 'minor' : 'major'))
  await database.query(
    {
      text: `
        with made as (
          select n, format('%s-%s-%s', lower(f), lower(s), to_char(n, 'FM00000')) as guid,
            f || ' ' || s as title, a as artist, now() - n * interval '10 min' - interval '1 h' as at
          from generate_series(1, $1::int) n,
            lateral (select ($2::text[])[1 + n % 9] f, ($3::text[])[1 + n % 7] s, ($4::text[])[1 + n % 5] a) w
        ), named as (
          insert into track (asset_guid, title, title_at, title_found, artist, artist_at, artist_found)
          select guid, title, at, false, artist, at, false from made
        ), lately as (
          insert into minute_count (minute, shard, made)
          select date_trunc('minute', now()) - minute * interval '1 min', 99, 5 * (2 + minute * 37 % 11)
          from generate_series(2, 58) minute
        ), sets as (
          insert into asset_set (made, failed)
          values ('{aac-128@1,bpm@1,key@1,loudness@1,waveform@1}', '{}') returning id
        )
        insert into track_listing (asset_guid, job, request_id, asked_at, state, updated_at, assets,
          failed, pending, samples, bpm, bpm_confidence, key, key_confidence, camelot, loudness, words)
        select guid, md5(guid), md5(guid)::uuid::text, at, case when n % 41 = 7 then 'partial' else 'done' end, at,
          sets.id, '{}', '{}', (180 + n * 37 % 300) * 44100,
          96 + (n * 61 % 5200) / 100.0, 0.9,
          ($5::text[])[1 + n * 7 % 24], case when n = 9 then 0.14 else 0.8 end, ($6::text[])[1 + n * 7 % 24], -6 - (n * 13 % 90) / 10.0,
          listed_words(title, artist)
        from made, sets`,
    },
    [
      many,
      FIRST,
      SECOND,
      ARTISTS,
      keys.map(({ key }) => key),
      keys.map(({ camelot }) => camelot),
    ],
  )
}
