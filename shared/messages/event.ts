import { Type } from 'typebox'
import { defineMessage, type MessageOf } from '../message.ts'
import { AcceptedRequest } from './run.ts'
import { Warnings } from './warning.ts'

/** Units that an event tells at most: a list that is so long may go on. */
export const MOST_UNITS = 100

/** What a step reports of itself, once, with an id made at its birth. */
const StepEvent = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    /** When the step began, ISO 8601. */
    at: Type.String({ format: 'date-time' }),
    /** The step that ran: `ingest`, `stage`, `analyze`, `encode`, `publish`; or `watchdog`; or `operator`, somebody who deals with dead letters. */
    step: Type.String(),
    /** `accepted` (by ingest), `done`, `skipped` (all existed), `failed` (a verdict for good), `again` (given back), `restarted`, `dead-lettered`, `swept`; `redriven`, `discarded` (by an operator). */
    verdict: Type.String(),
    job: Type.Optional(Type.String()),
    track: Type.Optional(Type.String()),
    run: Type.Optional(Type.Integer()),
    route: Type.Optional(Type.String()),
    attempt: Type.Integer({ minimum: 1 }),
    /** What was made or looked at, e.g. `aac-128@1 0-441000`. */
    units: Type.Array(Type.String()),
    /** Host and process. */
    worker: Type.String(),
    /** Wall-clock milliseconds. */
    ms: Type.Number(),
    /** Core-milliseconds, children and workers included, where known. */
    cpuMs: Type.Optional(Type.Number()),
    bytesRead: Type.Optional(Type.Integer()),
    bytesWritten: Type.Optional(Type.Integer()),
    /** Of those, what came from and went to buckets: across the WAN, on a route whose cluster is not in the cloud. */
    bytesFromCloud: Type.Optional(Type.Integer()),
    bytesToCloud: Type.Optional(Type.Integer()),
    storeOperations: Type.Optional(Type.Integer()),
    code: Type.Optional(Type.String()),
    sentence: Type.Optional(Type.String()),
    /** Of the master, where this step has found out what is missing or wrong in it. */
    warnings: Warnings,
    /** With `accepted`: the request, so that a job row that could not be written at once is written later. */
    request: Type.Optional(AcceptedRequest),
  },
  { additionalProperties: false },
)

/** One message may carry many events: a Pub/Sub message costs the same whether it holds one or fifty. */
export const Events = defineMessage('events@1', {
  events: Type.Array(StepEvent, { minItems: 1, maxItems: 1000 }),
})
export type Events = MessageOf<typeof Events>
export type StepEvent = Events['events'][number]
