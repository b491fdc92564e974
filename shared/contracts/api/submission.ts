import { Type } from 'typebox'
import { LaneName } from '../lane-name.ts'
import { TenantName } from '../tenants.ts'
import { Problem } from './problem.ts'
import { FailureCode, Nullable, type ResponseOf } from './response.ts'

const State = Type.Enum(['accepted', 'queued'], {
  description:
    '`accepted`: Pub/Sub has it for good. `queued`: the database has it for good, until its tenant has fewer jobs open.',
})

/** A job that was accepted. */
export const Accepted = Type.Object(
  {
    status: Type.Literal(202),
    state: State,
    request_id: Type.String(),
    asset_guid: Type.String(),
    job: Type.String({ description: 'The id of the job: one request for one track.' }),
    route: Type.String(),
    lane: LaneName('The lane that it takes.'),
    tenant: TenantName('On whose account it is made.'),
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

const AcceptedLine = Type.Object(
  {
    line: Type.Integer({ minimum: 1, description: 'The number of the line, from 1.' }),
    status: Type.Literal(202),
    state: State,
    request_id: Type.String(),
    asset_guid: Type.String(),
    job: Type.String({ description: 'The id of the job.' }),
  },
  {
    title: 'AcceptedLine',
    examples: [
      {
        line: 1,
        status: 202,
        state: 'accepted',
        request_id: '3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11',
        asset_guid: 'example-track',
        job: '3f2c8c1e5d0b4b8a9a530d9a',
      },
    ],
  },
)

const RefusedLine = Type.Object(
  {
    line: Nullable(Type.Integer({ minimum: 1 }), {
      description:
        'The number of the line, from 1; null for a result that concerns all lines that follow.',
    }),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    code: FailureCode,
    detail: Type.String({ description: 'What was wrong, where, and what was expected.' }),
    at: Type.Optional(Type.String({ description: 'Where in the line the fault lies.' })),
  },
  { title: 'RefusedLine' },
)

/** POST /v1/jobs with lines: a line of the answer. */
export const LineResult = Type.Union([AcceptedLine, RefusedLine], { title: 'LineResult' })
export type LineResult = ResponseOf<typeof LineResult>
