import { Type } from 'typebox'
import { CARRIED_OUT } from './cancellation.ts'
import { Instant, NextPage, type ResponseOf } from './response.ts'
import { TRACK_STATES } from './track.ts'

const Count = (description: string) => Type.Integer({ minimum: 0, description })

const ReleaseId = Type.Integer({ description: 'As jobs name it.' })
const known = {
  release_id: ReleaseId,
  state: Type.Enum([...TRACK_STATES], {
    description:
      '`running` while a job over one of its tracks is open; then `done`, `cancelled` or `failed` if all of them are (`failed` also if none was made); else `partial`.',
  }),
  counts: Type.Object(
    {
      running: Count('Tracks with a job that waits or is under way.'),
      done: Count('Tracks with all their assets.'),
      partial: Count('Tracks of which some assets failed.'),
      failed: Count('Tracks of which no asset was made.'),
      cancelled: Count('Tracks whose job was cancelled.'),
    },
    {
      title: 'ReleaseCounts',
      description: 'Its tracks, each by the latest of its jobs that name the release.',
    },
  ),
  more: Type.Boolean({
    description:
      'Whether more than 10,000 jobs name it. Then the state and the counts are those of 10,000.',
  }),
  first_seen: Instant('When a job first named it.'),
  changed: Instant('When a job of it was added, or came to another state.'),
  href: Type.String({ description: 'The address of the release.' }),
}

const example = {
  release_id: 4_711_001,
  state: 'running',
  counts: { running: 2, done: 9, partial: 0, failed: 1, cancelled: 0 },
  more: false,
  first_seen: '2026-03-01T10:00:00.000Z',
  changed: '2026-03-01T10:02:11.000Z',
  href: '/v1/releases/4711001',
} as const

/** A release of GET /v1/releases. */
export const Release = Type.Object(known, { title: 'Release', examples: [example] })
export type Release = ResponseOf<typeof Release>

/** GET /v1/releases. */
export const ReleasePage = Type.Object(
  {
    releases: Type.Array(Release, { description: 'Those that changed last first.' }),
    next: NextPage,
  },
  { title: 'ReleasePage' },
)
export type ReleasePage = ResponseOf<typeof ReleasePage>

const ReleaseTrack = Type.Object(
  {
    asset_guid: Type.String(),
    title: Type.Optional(Type.String()),
    artist: Type.Optional(Type.String()),
    state: Type.Enum([...TRACK_STATES], {
      description: 'Of the latest of its jobs that name the release.',
    }),
    request_id: Type.String({ description: 'The request of that job.' }),
    href: Type.String({ description: 'The address of the track.' }),
  },
  { title: 'ReleaseTrack' },
)

/** GET /v1/releases/{release_id}. */
export const ReleaseDetail = Type.Object(
  {
    ...known,
    tracks: Type.Array(ReleaseTrack, { description: 'In the order of their asset_guids.' }),
    next: NextPage,
  },
  {
    title: 'ReleaseDetail',
    examples: [
      {
        ...example,
        tracks: [
          {
            asset_guid: 'example-track',
            title: 'Night Bus',
            artist: 'Example',
            state: 'done',
            request_id: '3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11',
            href: '/v1/tracks/example-track',
          },
        ],
        next: null,
      },
    ],
  },
)
export type ReleaseDetail = ResponseOf<typeof ReleaseDetail>

/** POST /v1/releases/{release_id}/cancel: what was cancelled. */
export const ReleaseCancelled = Type.Object(
  {
    ...CARRIED_OUT,
    release_id: ReleaseId,
    href: Type.String({ description: 'The address of the release.' }),
  },
  {
    title: 'ReleaseCancelled',
    examples: [
      {
        number: 8,
        release_id: 4_711_001,
        before: '2026-03-01T10:03:00.000Z',
        at: '2026-03-01T10:03:00.000Z',
        by: 'label-desk',
        reason: 'The wrong masters.',
        ended: 2,
        left: false,
        href: '/v1/releases/4711001',
      },
    ],
  },
)
export type ReleaseCancelled = ResponseOf<typeof ReleaseCancelled>
