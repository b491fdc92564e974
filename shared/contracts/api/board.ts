import { type TInteger, Type } from 'typebox'
import { LANES, type Lane } from '../lanes.ts'
import { Instant, Nullable, type ResponseOf } from './response.ts'

const BoardStep = Type.Object(
  {
    step: Type.String(),
    does: Type.String({ description: 'What the step does, in a few words.' }),
    waiting: Type.Integer({ description: 'Tracks that are due there, or under way.' }),
    done_per_minute: Type.Integer(),
    failed_per_minute: Type.Integer(),
    p50_ms: Nullable(Type.Number(), { description: 'The median; null without deliveries.' }),
    p99_ms: Nullable(Type.Number(), {
      description: 'The 99th percentile; null without deliveries.',
    }),
  },
  { title: 'BoardStep' },
)

const BoardMinute = Type.Object(
  {
    at: Instant('When the minute began.'),
    made: Type.Integer(),
    failed: Type.Integer(),
  },
  { title: 'BoardMinute' },
)
export type BoardMinute = ResponseOf<typeof BoardMinute>

/** GET /v1/board. */
export const Board = Type.Object(
  {
    at: Instant('When the board was read.'),
    accepting: Type.Boolean({ description: 'Whether jobs are taken.' }),
    tracks: Type.Object({
      running: Type.Integer(),
      done: Type.Integer(),
      partial: Type.Integer(),
      failed: Type.Integer(),
      cancelled: Type.Integer(),
      waiting: Type.Integer({ description: 'Number of tracks that wait for the first step.' }),
    }),
    lanes: Type.Object(
      Object.fromEntries(LANES.map((lane) => [lane, Type.Integer()])) as Record<Lane, TInteger>,
      {
        description:
          'Jobs that wait for their first step, by lane, of all routes; of each up to 10,000 are counted.',
      },
    ),
    steps: Type.Array(BoardStep, { description: 'The steps, in the order of the chain.' }),
    completions_per_minute: Type.Integer(),
    failures_last_hour: Type.Integer(),
    dead_letters_open: Type.Integer(),
    minutes: Type.Array(BoardMinute, {
      description: 'Assets made and failed in each of the last 60, the oldest first.',
    }),
  },
  {
    title: 'Board',
    examples: [
      {
        at: '2026-03-01T10:00:00.000Z',
        accepting: true,
        tracks: { waiting: 12, running: 7, done: 9021, partial: 3, failed: 2, cancelled: 1 },
        lanes: { urgent: 0, new: 2, backfill: 10 },
        steps: [
          {
            step: 'encode',
            does: 'audio, waveform',
            waiting: 4,
            done_per_minute: 58,
            failed_per_minute: 0,
            p50_ms: 4120,
            p99_ms: 6204,
          },
        ],
        completions_per_minute: 240,
        failures_last_hour: 9,
        dead_letters_open: 5,
        minutes: [{ at: '2026-03-01T10:00:00.000Z', made: 240, failed: 1 }],
      },
    ],
  },
)
export type Board = ResponseOf<typeof Board>
