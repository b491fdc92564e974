import { Type } from 'typebox'
import type { ResponseOf } from './response.ts'

/** GET /healthz. */
export const Health = Type.Object({ status: Type.Literal('ok') }, { title: 'Health' })
export type Health = ResponseOf<typeof Health>

/** GET /readyz. */
export const Readiness = Type.Object(
  {
    accepting: Type.Boolean({ description: 'Whether jobs are taken here.' }),
    reading: Type.Boolean({ description: 'Whether the catalogue answers.' }),
    reason: Type.Optional(Type.String({ description: 'Why no jobs are taken.' })),
  },
  { title: 'Readiness' },
)
export type Readiness = ResponseOf<typeof Readiness>
