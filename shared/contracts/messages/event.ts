import { Type } from 'typebox'
import { defineMessage, type MessageOf } from '../message.ts'
import { ASSET_GUID_PATTERN, ROUTE_PATTERN } from '../names.ts'
import { StepFigures } from '../step-figures.ts'
import { Warnings } from '../warning.ts'
import { Code, Count, Line } from './place.ts'
import { AcceptedRequest } from './run.ts'

/** The maximum number of units in an event. A list of this length may have been cut. */
export const MAX_UNITS = 100

/** The report of a step on one delivery. Its id is created once, so that all copies of it are the same event. */
const StepEvent = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    /** When the step began, ISO 8601. */
    at: Type.String({ format: 'date-time' }),
    /** The step that ran, by its name in `CHAIN`; or `watchdog`; or `operator`, a person who handles dead letters. */
    step: Line(64),
    /** `accepted`, `queued` (by ingest), `done`, `skipped` (all existed), `failed` (a verdict for good), `retry` (given back), `restarted`, `dead-lettered`, `swept`, `cancelled`; `replaced` (an upload of other content, by ingest); `redriven`, `discarded`, `cancelled` (by an operator). */
    verdict: Line(64),
    job: Type.Optional(Line(64)),
    track: Type.Optional(Type.String({ pattern: ASSET_GUID_PATTERN })),
    run: Type.Optional(Count),
    route: Type.Optional(Type.String({ pattern: ROUTE_PATTERN })),
    attempt: Count,
    /** The units that were made or inspected, e.g. `aac-128@1 0-441000`. */
    units: Type.Array(Line(200), { maxItems: 10 * MAX_UNITS }),
    /** Host and process. */
    worker: Line(400),
    /** Wall-clock milliseconds. */
    ms: Type.Number({ minimum: 0 }),
    ...StepFigures,
    code: Type.Optional(Code),
    sentence: Type.Optional(Type.String({ maxLength: 4000 })),
    /** The warnings about the master that this step has found. */
    warnings: Warnings,
    /** With `accepted`: the request, so that a job row that could not be written at once is written later. */
    request: Type.Optional(AcceptedRequest),
    /** With `accepted`: when the job was accepted, where that is not when the step began. ISO 8601. */
    accepted: Type.Optional(Type.String({ format: 'date-time' })),
  },
  { additionalProperties: false },
)

/** One message may carry many events: a Pub/Sub message costs the same whether it holds one or fifty. */
export const Events = defineMessage('events@1', {
  events: Type.Array(StepEvent, { minItems: 1, maxItems: 1000 }),
})
export type Events = MessageOf<typeof Events>
export type StepEvent = Events['events'][number]
