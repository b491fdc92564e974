import { Type } from 'typebox'
import { Instant, Nullable, type ResponseOf } from './response.ts'

const Share = (description: string) =>
  Nullable(Type.Number(), {
    description: `${description} Null when there was nothing to rate.`,
  })

const KpiStep = Type.Object(
  {
    step: Type.String(),
    count: Type.Integer({ description: 'Number of deliveries.' }),
    p50_ms: Type.Number(),
    p95_ms: Type.Number(),
    p99_ms: Type.Number(),
    longest_ms: Type.Number(),
    over_budget: Type.Integer(),
    over_hard_limit: Type.Integer(),
    core_ms: Type.Number({
      description: 'Core-milliseconds, of the deliveries that reported them.',
    }),
  },
  { title: 'KpiStep' },
)
export type KpiStep = ResponseOf<typeof KpiStep>

/** GET /v1/kpis. */
export const Kpis = Type.Object(
  {
    from: Instant('The window has this instant.'),
    to: Instant('The window ends before it.'),
    seconds: Type.Number(),
    completions: Type.Integer({ description: 'Assets made.' }),
    completions_per_minute: Type.Number(),
    success_rate: Share('0 to 1.'),
    failure_rate: Share('0 to 1.'),
    concurrency: Type.Number({ description: 'Steps under way at once, on average.' }),
    collected: Type.Integer(),
    requeued: Type.Integer({ description: 'Deliveries that were given back.' }),
    recorded: Type.Integer({ description: 'Number of events that were recorded.' }),
    assets_made: Type.Integer(),
    assets_failed: Type.Integer(),
    tracks_completed: Type.Integer({ description: 'Jobs whose end was announced.' }),
    dead_lettered: Type.Integer(),
    swept: Type.Integer(),
    skipped: Type.Integer(),
    core_seconds: Type.Number({
      description: 'Core-seconds, of the steps that reported them.',
    }),
    core_seconds_per_track: Share('On average.'),
    steps: Type.Array(KpiStep, { description: 'The steps, in the order of the chain.' }),
  },
  {
    title: 'Kpis',
    examples: [
      {
        from: '2026-03-01T10:00:00.000Z',
        to: '2026-03-01T10:15:00.000Z',
        seconds: 900,
        completions: 3600,
        completions_per_minute: 240,
        success_rate: 0.9975,
        failure_rate: 0.0025,
        concurrency: 11.4,
        collected: 0,
        requeued: 3,
        recorded: 4530,
        assets_made: 3600,
        assets_failed: 9,
        tracks_completed: 902,
        dead_lettered: 9,
        swept: 0,
        skipped: 12,
        core_seconds: 5412.5,
        core_seconds_per_track: 6.001,
        steps: [
          {
            step: 'encode',
            count: 905,
            p50_ms: 4120,
            p95_ms: 5630,
            p99_ms: 6204,
            longest_ms: 9120,
            over_budget: 0,
            over_hard_limit: 0,
            core_ms: 3729000,
          },
        ],
      },
    ],
  },
)
export type Kpis = ResponseOf<typeof Kpis>
