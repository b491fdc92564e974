import { Type } from 'typebox'
import { Problem } from './problem.ts'
import type { ResponseOf } from './response.ts'

/** A job that was accepted: Pub/Sub has it for good. */
export const Accepted = Type.Object(
  {
    status: Type.Literal(202),
    request_id: Type.String(),
    asset_guid: Type.String(),
    job: Type.String({ description: 'The id of the job: one request for one track.' }),
    route: Type.String(),
    derivative_assets: Type.Array(Type.String()),
    href: Type.String({ description: 'The address of the progress of the job.' }),
    replaces: Type.Optional(
      Type.String({
        description: 'With a file, the sha256 of other content that its track had before.',
      }),
    ),
  },
  { title: 'Accepted' },
)
export type Accepted = ResponseOf<typeof Accepted>

const Result = Type.Union([Accepted, Problem])

/** POST /v1/jobs with an array of which at least one job was accepted. */
export const Results = Type.Object(
  {
    results: Type.Array(Result, {
      description: 'One result for each job, in the order of the array.',
    }),
  },
  { title: 'Results' },
)
export type Result = ResponseOf<typeof Result>

/** The same with an array of which none was: the first problem, and all of them. */
export const AllRefused = Type.Object(
  { ...Problem.properties, results: Type.Array(Problem) },
  { title: 'AllRefused' },
)

/** POST /v1/jobs with lines: a line of the answer. */
export const LineResult = Type.Object(
  {
    line: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      description:
        'The number of the line, from 1; null for a result that concerns all lines that follow.',
    }),
    status: Type.Integer(),
    request_id: Type.Optional(Type.String()),
    asset_guid: Type.Optional(Type.String()),
    job: Type.Optional(Type.String()),
    code: Type.Optional(
      Type.String({ description: 'The error code of a line that was refused.' }),
    ),
    detail: Type.Optional(Type.String()),
    at: Type.Optional(Type.String()),
  },
  { title: 'LineResult' },
)
export type LineResult = ResponseOf<typeof LineResult>
