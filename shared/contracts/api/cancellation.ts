import { Type } from 'typebox'
import { Instant, Nullable, type ResponseOf } from './response.ts'

/** How long services are notified of cancellations, days: longer than Pub/Sub keeps a message (31 days). */
export const KEPT_DAYS = 32

/** Why something is to be cancelled. */
export const CancelReason = Type.String({
  minLength: 1,
  maxLength: 1000,
  description: 'Why; it goes into the history of the tracks.',
})

/** What is said of a cancellation when it is carried out. */
export const CARRIED_OUT = {
  number: Type.Integer({ description: 'The number of the cancellation.' }),
  before: Instant('Everything that was accepted at that moment or before is cancelled.'),
  at: Instant('When it was cancelled.'),
  by: Type.String({ description: 'Who cancelled it.' }),
  reason: Nullable(Type.String(), { description: 'Why; null where no reason was given.' }),
  ended: Type.Integer({
    description: 'How many jobs this request has ended; 0 when they were cancelled before.',
  }),
  left: Type.Boolean({
    description:
      'Whether rows of very many jobs are still being ended. No step of them begins any more.',
  }),
}

/** POST /v1/jobs/{request_id}/cancel: what was cancelled. */
export const Cancelled = Type.Object(
  {
    ...CARRIED_OUT,
    request_id: Type.String(),
    asset_guid: Nullable(Type.String(), {
      description: 'The track whose job was cancelled; null: all jobs of the request.',
    }),
    href: Type.String({ description: 'The address of the state of the request.' }),
  },
  {
    title: 'Cancelled',
    examples: [
      {
        number: 7,
        request_id: '3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11',
        asset_guid: null,
        before: '2026-03-01T10:00:00.000Z',
        at: '2026-03-01T10:00:00.000Z',
        by: 'label-desk',
        reason: 'The wrong masters.',
        ended: 12,
        left: false,
        href: '/v1/jobs/3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11',
      },
    ],
  },
)
export type Cancelled = ResponseOf<typeof Cancelled>

/** GET /v1/cancellations. */
export const Cancellations = Type.Object(
  {
    cancellations: Type.Array(
      Type.Object(
        {
          number: Type.Integer({ minimum: 1 }),
          kind: Type.String({
            description:
              '`job`, `request` or `release` (of tracks); later versions may have others: pass them over.',
          }),
          id: Type.String({
            description:
              'The id of the job, of the request (a UUID in lower case) or of the release.',
          }),
          before: Instant(
            'Everything that was accepted at that moment or before is cancelled.',
          ),
        },
        { title: 'Cancellation' },
      ),
      { description: 'In the order of their numbers.' },
    ),
    last: Type.Integer({
      minimum: 0,
      description:
        'The number of the latest one that there is. Lower than `after` when the catalogue was restored: ask from 0 again.',
    }),
  },
  {
    title: 'Cancellations',
    examples: [
      {
        cancellations: [
          {
            number: 7,
            kind: 'request',
            id: '3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11',
            before: '2026-03-01T10:00:00.000Z',
          },
        ],
        last: 7,
      },
    ],
  },
)
export type Cancellations = ResponseOf<typeof Cancellations>
