import { type Static, Type } from 'typebox'
import { LISTED_STATES } from '#shared/catalogue/jobs/jobs.ts'
import { PageSize } from '#shared/contracts/api/parameters.ts'
import { ASSET_ID_PATTERN } from '#shared/contracts/names.ts'
import { WARNINGS } from '#shared/contracts/warnings.ts'
import { refused } from '../http/problem.ts'

const Amount = (description: string, example: string) =>
  Type.Optional(
    Type.String({ pattern: '^\\d{1,6}(\\.\\d{1,6})?$', description, examples: [example] }),
  )

export const TrackQuery = Type.Object(
  {
    bpm_from: Amount('Beats per minute, at least.', '120'),
    bpm_to: Amount('Beats per minute, at most.', '128.5'),
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
      Type.String({
        pattern: '^(0(\\.\\d{1,6})?|1(\\.0{1,6})?)$',
        description:
          'How sure that must be at least, 0 to 1: the tempo where tempos are asked for, the key where a key is, both where neither is. 0.5 with `harmonic=1`, otherwise 0, unless told.',
        examples: ['0.8'],
      }),
    ),
    seconds_from: Amount('Length in seconds, at least.', '60'),
    seconds_to: Amount('Length in seconds, at most.', '600'),
    asset: Type.Optional(
      Type.String({
        pattern: ASSET_ID_PATTERN,
        description: 'An asset that the track has.',
        examples: ['waveform'],
      }),
    ),
    state: Type.Optional(
      Type.Enum([...LISTED_STATES], {
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

/** What lists and /v1/live tell of a track. */
const TrackLine = Type.Object(
  {
    asset_guid: Type.String(),
    title: Type.Optional(Type.String()),
    artist: Type.Optional(Type.String()),
    state: Type.Enum([...LISTED_STATES], { description: 'Of its latest job.' }),
    seconds: Type.Optional(Type.Number()),
    bpm: Type.Optional(Type.Number()),
    bpm_confidence: Type.Optional(Type.Number({ description: '0 to 1.' })),
    bpm_error: Type.Optional(
      Type.Number({
        description: 'What `bpm` may be off by for want of length; 95 of 100 are not.',
      }),
    ),
    key: Type.Optional(Type.String()),
    key_confidence: Type.Optional(Type.Number({ description: '0 to 1.' })),
    camelot: Type.Optional(Type.String()),
    loudness_lufs: Type.Optional(Type.Number()),
    warnings: Type.Optional(
      Type.Array(Type.String(), {
        description: 'Codes of what is missing or wrong in its master; absent: nothing.',
      }),
    ),
    assets: Type.Object({
      made: Type.Array(Type.String()),
      failed: Type.Array(Type.String()),
      pending: Type.Array(Type.String()),
    }),
    dead_lettered: Type.Boolean({ description: 'Whether a dead letter about it is open.' }),
    updated: Type.String({ format: 'date-time', description: 'When that last changed.' }),
    request_id: Type.String({ description: 'Of its latest job.' }),
  },
  {
    title: 'TrackLine',
    examples: [
      {
        ...{ asset_guid: 'example-track', title: 'Night Bus', artist: 'Example' },
        ...{
          state: 'done',
          seconds: 433.02,
          bpm: 128.01,
          bpm_confidence: 0.97,
          bpm_error: 0.00034,
        },
        ...{ key: 'A minor', key_confidence: 0.81, camelot: '8A', loudness_lufs: -8.3 },
        assets: { made: ['aac-128', 'bpm', 'key', 'waveform'], failed: [], pending: [] },
        dead_lettered: false,
        updated: '2026-03-01T10:00:00.000Z',
        request_id: '3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11',
      },
    ],
  },
)

/** GET /v1/tracks, for the OpenAPI document. */
export const list = {
  tags: ['tracks'],
  summary: 'List and search tracks',
  description:
    'Those with the latest activity first. All that is given must hold. The pages that follow have each track that was there at the first one once, however tracks change meanwhile.',
  querystring: TrackQuery,
  response: {
    200: {
      description: 'A page of tracks.',
      type: 'object',
      properties: {
        tracks: { type: 'array', items: TrackLine },
        next: { type: ['string', 'null'], description: 'The address of the next page.' },
      },
    },
    ...refused,
  },
}
