import { Type } from 'typebox'
import { CHAIN } from '../stages.ts'
import { StepFigures } from '../step-figures.ts'
import { Instant, NextPage, type ResponseOf } from './response.ts'
import { Warning } from './warning.ts'

/** What a step did for a track. */
const HistoryEvent = Type.Object(
  {
    id: Type.String(),
    at: Instant('When the step began.'),
    step: Type.String({
      description: `${CHAIN.map((step) => `\`${step}\``).join(', ')}, \`watchdog\` or \`operator\`.`,
    }),
    verdict: Type.String({
      description:
        '`accepted`, `queued` (until its tenant has room), `done`, `skipped` (all existed), `failed`, `retry` (given back), `restarted`, `dead-lettered`, `swept`, `replaced`, `redriven`, `discarded`, `cancelled`.',
    }),
    job: Type.Optional(Type.String()),
    track: Type.Optional(Type.String()),
    run: Type.Optional(Type.Integer()),
    route: Type.Optional(Type.String()),
    attempt: Type.Integer(),
    units: Type.Array(Type.String(), {
      description: 'What was made or looked at, e.g. `aac-128@1 0-441000`.',
    }),
    worker: Type.String({ description: 'Host and process.' }),
    ms: Type.Number({ description: 'Wall-clock milliseconds.' }),
    code: Type.Optional(Type.String()),
    sentence: Type.Optional(Type.String()),
    warnings: Type.Optional(
      Type.Array(Warning, { description: 'What the step found missing or wrong.' }),
    ),
    ...StepFigures,
  },
  { title: 'HistoryEvent' },
)
export type HistoryEvent = ResponseOf<typeof HistoryEvent>

/** GET /v1/tracks/{asset_guid}/history. */
export const HistoryPage = Type.Object(
  {
    asset_guid: Type.String(),
    events: Type.Array(HistoryEvent, { description: 'The latest first.' }),
    next: NextPage,
  },
  { title: 'HistoryPage' },
)
export type HistoryPage = ResponseOf<typeof HistoryPage>
