import { type Static, Type } from 'typebox'
import {
  DeadLetter,
  DeadLetterPage,
  LETTER_STATES,
  RedriveResults,
  WholeDeadLetter,
} from '#shared/contracts/api/dead-letter.ts'
import { PageSize } from '#shared/contracts/api/parameters.ts'
import { ASSET_GUID_PATTERN, ASSET_ID_PATTERN } from '#shared/contracts/names.ts'
import { CHAIN } from '#shared/contracts/stages.ts'
import { jsonResponse, refused } from '../http/responses.ts'

/** Maximum and default number of letters that one request redrives. */
const MAX_LETTERS = 1000
export const DEFAULT_LETTERS = 100
/** Default rate of a redrive, letters a second. */
export const DEFAULT_RATE = 10

/** The letter that the examples are about. */
export const EXAMPLE_LETTER_ID = '5a1d3c8e9b7f40526a1d3c8e9b7f4052'

const LetterId = Type.String({
  pattern: '^[0-9a-f]{32}$',
  description: 'The id of the letter.',
  examples: [EXAMPLE_LETTER_ID],
})

/** The path of everything about a letter. */
export const LetterParams = Type.Object({ id: LetterId })
export type LetterParams = Static<typeof LetterParams>

const filter = {
  step: Type.Optional(
    Type.String({
      pattern: '^[a-z-]{1,64}$',
      description: `The step that failed: ${CHAIN.join(', ')}, recorder.`,
    }),
  ),
  code: Type.Optional(
    Type.String({ pattern: '^\\w{1,64}$', description: 'One of GET /v1/errors.' }),
  ),
  asset: Type.Optional(
    Type.String({
      pattern: ASSET_ID_PATTERN,
      description: 'An asset that the job asks for.',
    }),
  ),
  track: Type.Optional(
    Type.String({ pattern: ASSET_GUID_PATTERN, description: 'The asset_guid of its track.' }),
  ),
  before: Type.Optional(
    Type.String({ format: 'date-time', description: 'Dead-lettered before then, ISO 8601.' }),
  ),
}

export const ListQuery = Type.Object(
  {
    ...filter,
    state: Type.Optional(
      Type.Enum([...LETTER_STATES, 'all'], { description: '`open` by default.' }),
    ),
    limit: PageSize,
    page: Type.Optional(
      Type.String({
        pattern: '^\\d{4}-\\d\\d-\\d\\dT[0-9:.]{8,15}Z,[0-9a-f]{32}$',
        description: 'As the link `next` of the page before has it.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type ListQuery = Static<typeof ListQuery>

const pace = {
  rate: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 1000,
      description: `Letters a second; ${DEFAULT_RATE} by default.`,
    }),
  ),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_LETTERS,
      description: `Letters at most; ${DEFAULT_LETTERS} by default.`,
    }),
  ),
  dry_run: Type.Optional(
    Type.Boolean({
      description: 'Whether to report what would be redriven, and change nothing.',
    }),
  ),
}

/** The body of a redrive: by ids or by a filter. */
export const RedriveBody = Type.Object(
  {
    ids: Type.Optional(Type.Array(LetterId, { minItems: 1, maxItems: MAX_LETTERS })),
    filter: Type.Optional(
      Type.Object(filter, {
        additionalProperties: false,
        description:
          'A letter has to meet every condition that is given; {} selects all open letters.',
      }),
    ),
    ...pace,
  },
  { additionalProperties: false, title: 'Redrive' },
)
export type RedriveBody = Static<typeof RedriveBody>

/** The body of a discard. */
export const DiscardBody = Type.Object(
  {
    reason: Type.String({
      minLength: 1,
      maxLength: 1000,
      description:
        'Why the letter is discarded. The reason is kept with the letter and in the history.',
    }),
  },
  { additionalProperties: false, title: 'Discard' },
)
export type DiscardBody = Static<typeof DiscardBody>

const tags = ['dead letters']

/** GET /v1/dead-letters, for the OpenAPI document. */
export const list = {
  operationId: 'listDeadLetters',
  tags,
  summary: 'List dead letters',
  description:
    'What could not be done and will not be tried again by itself, the latest first: which step, why, and the job in it.',
  querystring: ListQuery,
  response: { 200: jsonResponse('A page of letters.', DeadLetterPage), ...refused },
}

/** GET /v1/dead-letters/{id}, for the OpenAPI document. */
export const show = {
  operationId: 'getDeadLetter',
  tags,
  summary: 'Show a dead letter',
  description:
    'With the body and the attributes as they came: `body` as text or, when it is no UTF-8, `body_base64`.',
  params: LetterParams,
  response: { 200: jsonResponse('The letter.', WholeDeadLetter), ...refused },
}

/** POST /v1/dead-letters/redrive, for the OpenAPI document. */
export const redrive = {
  operationId: 'redriveDeadLetters',
  tags,
  summary: 'Redrive dead letters',
  description: [
    'Publishes the job in each letter to `ingest` as its next run: what exists is skipped, the rest is made.',
    'By `ids`, or by `filter`, the oldest first. A letter is redriven once; a later request for it is refused.',
    '',
    'An answer comes after about 20 s at the latest. `left` says how many letters are still to be redriven then:',
    'ask again. Nothing that was redriven is undone when the request breaks off.',
  ].join('\n'),
  body: {
    content: {
      'application/json': {
        schema: {
          ...RedriveBody,
          examples: [
            { filter: { code: 'MASTER_NOT_FOUND' }, rate: 10, dry_run: true },
            { ids: [EXAMPLE_LETTER_ID] },
          ],
        },
      },
    },
  },
  response: {
    200: jsonResponse('What became of each.', RedriveResults),
    ...refused,
  },
}

/** POST /v1/dead-letters/{id}/discard, for the OpenAPI document. */
export const discard = {
  operationId: 'discardDeadLetter',
  tags,
  summary: 'Discard a dead letter',
  description: 'The job in the letter is not run again; the letter is kept, with the reason.',
  params: LetterParams,
  body: {
    content: {
      'application/json': {
        schema: { ...DiscardBody, examples: [{ reason: 'The master was withdrawn.' }] },
      },
    },
  },
  response: { 200: jsonResponse('The letter as it is now.', DeadLetter), ...refused },
}
