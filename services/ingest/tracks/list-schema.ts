import { type Static, Type } from 'typebox'
import { PageSize } from '#shared/contracts/api/parameters.ts'
import { TRACK_STATES, TrackPage } from '#shared/contracts/api/track.ts'
import { ASSET_ID_PATTERN } from '#shared/contracts/names.ts'
import { WARNINGS } from '#shared/contracts/warnings.ts'
import { jsonResponse, refused } from '../http/responses.ts'

const Amount = (description: string, example: number) =>
  Type.Optional(
    Type.Number({ minimum: 0, exclusiveMaximum: 1e6, description, examples: [example] }),
  )

const Asset = (description: string, example: string) =>
  Type.Optional(Type.String({ pattern: ASSET_ID_PATTERN, description, examples: [example] }))

export const TrackQuery = Type.Object(
  {
    bpm_from: Amount('Beats per minute, at least.', 120),
    bpm_to: Amount('Beats per minute, at most.', 128.5),
    key: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 20,
        description: 'In any notation: `A minor`, `Am`, `8A`, `1m`.',
        examples: ['8A'],
      }),
    ),
    harmonic: Type.Optional(
      Type.Enum(['0', '1'], {
        description:
          '`1`: with `key`, also its neighbours on the Camelot wheel: the same number with the other letter, and the numbers beside it with the same.',
        examples: ['1'],
      }),
    ),
    confidence_from: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description:
          'How sure that must be at least, 0 to 1: the tempo where tempos are asked for, the key where a key is, both where neither is. 0.5 with `harmonic=1`, else 0 by default.',
        examples: [0.8],
      }),
    ),
    seconds_from: Amount('Length in seconds, at least.', 60),
    seconds_to: Amount('Length in seconds, at most.', 600),
    asset: Asset('An asset that the track has.', 'waveform'),
    stale: Asset(
      'An asset that the track has in an older version alone, and of which the current version has not failed.',
      'bpm',
    ),
    lacks: Asset(
      'An asset that the track does not have, and of which the current version has not failed.',
      'flac',
    ),
    state: Type.Optional(
      Type.Enum([...TRACK_STATES], {
        description: 'Of its latest job.',
        examples: ['done'],
      }),
    ),
    warning: Type.Optional(
      Type.Enum(['any', 'none', ...Object.keys(WARNINGS)], {
        description: 'What is missing or wrong in its master: a code, `any` or `none`.',
        examples: ['any'],
      }),
    ),
    q: Type.Optional(
      Type.String({
        maxLength: 200,
        description:
          'The beginning of an asset_guid, or beginnings of words of title and artist, all of which must be there.',
        examples: ['example'],
      }),
    ),
    limit: PageSize,
    page: Type.Optional(
      Type.String({
        pattern: '^\\d{1,16},\\d{1,16},[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$',
        description: 'As the link `next` of the page before has it.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type TrackQuery = Static<typeof TrackQuery>

/** GET /v1/tracks, for the OpenAPI document. */
export const list = {
  operationId: 'listTracks',
  tags: ['tracks'],
  summary: 'List and search tracks',
  description:
    'Those with the latest activity first. All that is given must hold. The pages that follow have each track that was there at the first one once, however tracks change meanwhile. A list can be read on for a day.',
  querystring: TrackQuery,
  response: {
    200: jsonResponse('A page of tracks.', TrackPage),
    ...refused,
  },
}
