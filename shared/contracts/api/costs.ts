import { Type } from 'typebox'
import { Nullable, type ResponseOf } from './response.ts'

/** What costs may be summed by. */
export const COST_KEYS = ['tenant', 'asset', 'campaign', 'route'] as const
export type CostKey = (typeof COST_KEYS)[number]

const figures = {
  steps: Type.Number({
    description: 'Deliveries of steps; by asset also a share of one that made several.',
  }),
  seconds: Type.Number({ description: 'Seconds that steps took on the clock, summed up.' }),
  core_seconds: Type.Number({
    description: 'Core-seconds, of the steps that reported them.',
  }),
  compute_usd: Type.Number({
    description:
      'What these core-seconds cost in the cloud, on Spot, at the list price and 70 % of use: docs/tasks/costs.md. Cores on premises cost the cloud nothing.',
  }),
  bytes_read: Type.Number({ description: 'From all stores.' }),
  bytes_written: Type.Number({ description: 'To all stores.' }),
  bytes_from_cloud: Type.Number({ description: 'From buckets alone.' }),
  bytes_to_cloud: Type.Number({ description: 'To buckets alone.' }),
  store_operations: Type.Number(),
}

const EXAMPLE = {
  steps: 41_200,
  seconds: 61_800.5,
  core_seconds: 46_640.2,
  compute_usd: 0.2479,
  bytes_read: 1_520_000_000_000,
  bytes_written: 71_000_000_000,
  bytes_from_cloud: 1_520_000_000_000,
  bytes_to_cloud: 71_000_000_000,
  store_operations: 360_000,
}

const CostLine = Type.Object(
  {
    name: Nullable(Type.String(), {
      description:
        'The tenant, asset, campaign or route. Null: of no campaign; of no asset, which is what finding, reading, planning and recording take; of no route.',
    }),
    ...figures,
  },
  { title: 'CostLine' },
)
export type CostLine = ResponseOf<typeof CostLine>

/** GET /v1/costs. */
export const Costs = Type.Object(
  {
    by: Type.Enum(COST_KEYS),
    from: Type.String({ format: 'date', description: 'The first day (UTC).' }),
    to: Type.String({ format: 'date', description: 'The last day, included.' }),
    costs: Type.Array(CostLine, { description: 'What took most core-seconds first.' }),
    sum: Type.Object(figures, { title: 'CostSum' }),
  },
  {
    title: 'Costs',
    examples: [
      {
        by: 'tenant',
        from: '2026-03-01',
        to: '2026-03-31',
        costs: [
          {
            name: 'label-a',
            ...EXAMPLE,
          },
        ],
        sum: EXAMPLE,
      },
    ],
  },
)
export type Costs = ResponseOf<typeof Costs>
