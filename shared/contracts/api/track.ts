import { Type } from 'typebox'
import {
  AnalysisResult,
  DeadLettered,
  FailureCode,
  Instant,
  NextPage,
  Remedy,
  type ResponseOf,
} from './response.ts'
import { Warning } from './warning.ts'

/** The states of a track: of the job that was asked for, or opened again, last. */
export const TRACK_STATES = ['running', 'done', 'partial', 'failed', 'cancelled'] as const

const TrackState = Type.Enum([...TRACK_STATES], {
  description: 'The state of the latest job of the track.',
})
const names = {
  title: Type.Optional(Type.String()),
  artist: Type.Optional(Type.String()),
}

/** A track of GET /v1/tracks and GET /v1/live. */
export const TrackLine = Type.Object(
  {
    asset_guid: Type.String(),
    ...names,
    state: TrackState,
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
    dead_lettered: DeadLettered,
    updated: Instant('When the track last changed.'),
    request_id: Type.String({ description: 'The request of the latest job of the track.' }),
  },
  {
    title: 'TrackLine',
    examples: [
      {
        asset_guid: 'example-track',
        title: 'Night Bus',
        artist: 'Example',
        state: 'done',
        seconds: 433.02,
        bpm: 128.01,
        bpm_confidence: 0.97,
        bpm_error: 0.00034,
        key: 'A minor',
        key_confidence: 0.81,
        camelot: '8A',
        loudness_lufs: -8.3,
        assets: { made: ['aac-128', 'bpm', 'key', 'waveform'], failed: [], pending: [] },
        dead_lettered: false,
        updated: '2026-03-01T10:00:00.000Z',
        request_id: '3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11',
      },
    ],
  },
)
export type TrackLine = ResponseOf<typeof TrackLine>

/** GET /v1/tracks. */
export const TrackPage = Type.Object(
  { tracks: Type.Array(TrackLine), next: NextPage },
  { title: 'TrackPage' },
)
export type TrackPage = ResponseOf<typeof TrackPage>

const AssetFile = Type.Object(
  {
    extension: Type.String(),
    type: Type.Optional(
      Type.String({ description: 'Its content type, where this release defines the asset.' }),
    ),
    bytes: Type.Integer(),
    href: Type.String({ description: 'The address of the file.' }),
  },
  { title: 'AssetFile' },
)

/** GET /v1/tracks/{asset_guid}/assets/{asset}/link. */
export const AssetLink = Type.Object(
  {
    url: Type.String({
      description:
        'Where anybody can fetch the file until then: an absolute URL, or one relative to the address of this API.',
    }),
    expires: Instant('When that ends.'),
    type: Type.String({ description: 'The content type of the file.' }),
    bytes: Type.Integer(),
    file_name: Type.String({ description: 'The name that browsers save the file by.' }),
    asset: Type.String({ description: 'The id of the derivative asset.' }),
    version: Type.Integer({ description: "The version of the asset's definition." }),
    revision: Type.String({ description: 'The revision of the master that it was made of.' }),
  },
  { title: 'AssetLink' },
)
export type AssetLink = ResponseOf<typeof AssetLink>

const known = {
  asset: Type.String({ description: 'The id of the derivative asset.' }),
  version: Type.Integer({ description: "The version of the asset's definition." }),
  title: Type.Optional(
    Type.String({ description: 'For people, where this release defines the asset.' }),
  ),
}
const recorded = Instant('When the verdict on the asset was recorded.')

const MadeTrackAsset = Type.Object(
  {
    ...known,
    state: Type.Literal('made'),
    recorded,
    result: Type.Optional(AnalysisResult),
    files: Type.Array(AssetFile, {
      description: 'The files; the first is the one that is served by default.',
    }),
  },
  { title: 'MadeTrackAsset' },
)

const FailedTrackAsset = Type.Object(
  {
    ...known,
    state: Type.Literal('failed'),
    recorded,
    code: FailureCode,
    sentence: Type.String({ description: 'Why the asset failed.' }),
    remedy: Type.Optional(Remedy),
  },
  { title: 'FailedTrackAsset' },
)

const TrackAsset = Type.Union([MadeTrackAsset, FailedTrackAsset], { title: 'TrackAsset' })
export type TrackAsset = ResponseOf<typeof TrackAsset>

/** GET /v1/tracks/{asset_guid}. */
export const TrackDetail = Type.Object(
  {
    asset_guid: Type.String(),
    ...names,
    revision: Type.String({ description: 'The revision of the master that was read last.' }),
    master: Type.Object({
      uri: Type.String({ description: 'The URI of the master, without the folders above it.' }),
      layout: Type.String({ description: 'E.g. `WAV 24-bit 48000 Hz 2 channels`.' }),
      samples: Type.Integer({ description: 'Number of samples per channel, at 44.1 kHz.' }),
      seconds: Type.Number({
        description: 'The length of the master, seconds, to a millisecond.',
      }),
    }),
    warnings: Type.Array(Warning, { description: 'The warnings of that master.' }),
    first_seen: Instant('When a job first read a master of the track.'),
    assets: Type.Array(TrackAsset, {
      description: 'The newest of each asset of that revision.',
    }),
    history: Type.String({ description: 'The address of its history.' }),
    state: Type.Optional(TrackState),
    request_id: Type.Optional(
      Type.String({ description: 'The request of the latest job of the track.' }),
    ),
    release_id: Type.Optional(
      Type.Integer({ description: 'The release that this job names; absent: none.' }),
    ),
    dead_lettered: Type.Optional(DeadLettered),
  },
  {
    title: 'TrackDetail',
    examples: [
      {
        asset_guid: 'example-track',
        title: 'Night Bus',
        artist: 'Example',
        revision: 'x1f0e2d3c4b5a69788796a5b4c3d2e1f0',
        master: {
          uri: 'gs://masters/example-track.wav',
          layout: 'WAV 24-bit 48000 Hz 2 channels',
          samples: 19096182,
          seconds: 433.02,
        },
        warnings: [],
        first_seen: '2026-03-01T09:59:51.000Z',
        assets: [
          {
            asset: 'bpm',
            version: 1,
            title: 'Tempo',
            state: 'made',
            recorded: '2026-03-01T10:00:00.000Z',
            result: { bpm: 128.01, confidence: 0.97 },
            files: [
              {
                extension: 'json',
                type: 'application/json',
                bytes: 214,
                href: '/v1/tracks/example-track/assets/bpm.json',
              },
            ],
          },
        ],
        history: '/v1/tracks/example-track/history',
        state: 'done',
        request_id: '3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11',
        release_id: 4_711_001,
        dead_lettered: false,
      },
    ],
  },
)
export type TrackDetail = ResponseOf<typeof TrackDetail>
