import { Type } from 'typebox'
import {
  Dictionary,
  FailureCode,
  Instant,
  NextPage,
  Nullable,
  Remedy,
  type ResponseOf,
} from './response.ts'

export const LETTER_STATES = ['open', 'redriven', 'discarded'] as const

const job = {
  request_id: Type.Optional(Type.String()),
  asset_guid: Type.Optional(Type.String()),
  derivative_assets: Type.Optional(
    Type.Array(Type.String(), { description: 'Absent: all that there are.' }),
  ),
}

const Settlement = Type.Object(
  {
    at: Instant('When the letter was redriven or discarded.'),
    by: Type.String({ description: 'Who redrove or discarded the letter.' }),
    run: Type.Optional(Type.Integer({ description: 'The run that it was redriven as.' })),
    reason: Type.Optional(
      Nullable(Type.String(), { description: 'Why it was discarded; absent when redriven.' }),
    ),
  },
  { title: 'Settlement' },
)

/** A letter of lists. */
export const DeadLetter = Type.Object(
  {
    id: Type.String(),
    state: Type.Enum([...LETTER_STATES]),
    step: Type.String({ description: 'The step that failed.' }),
    code: FailureCode,
    reason: Type.String(),
    remedy: Type.Optional(Remedy),
    attempt: Type.Integer(),
    dead_lettered: Instant('When the message was dead-lettered.'),
    redrivable: Type.Boolean({ description: 'Whether there is a job in it.' }),
    job: Type.Optional(Type.String()),
    run: Type.Optional(Type.Integer({ description: 'The run that failed.' })),
    accepted: Type.Optional(
      Nullable(Instant('When the job was accepted.'), {
        description: 'When the job was accepted; null where the message does not say.',
      }),
    ),
    ...job,
    settled: Nullable(Settlement, {
      description: 'What became of the letter; null while it is open.',
    }),
    href: Type.String({ description: 'The address of the whole letter.' }),
  },
  {
    title: 'DeadLetter',
    examples: [
      {
        id: '5a1d3c8e9b7f40526a1d3c8e9b7f4052',
        state: 'open',
        step: 'stage',
        code: 'MASTER_NOT_FOUND',
        reason: 'gs://masters/example-track.wav was not there for 72 hours.',
        remedy: 'Deliver the master, then redrive.',
        attempt: 1,
        dead_lettered: '2026-03-01T10:00:00.000Z',
        redrivable: true,
        job: '3f2c8c1e5d0b4b8a9a530d9a',
        run: 1,
        accepted: '2026-02-26T10:00:00.000Z',
        request_id: '3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11',
        asset_guid: 'example-track',
        derivative_assets: ['bpm', 'key', 'waveform'],
        settled: null,
        href: '/v1/dead-letters/5a1d3c8e9b7f40526a1d3c8e9b7f4052',
      },
    ],
  },
)
export type DeadLetter = ResponseOf<typeof DeadLetter>

/** GET /v1/dead-letters. */
export const DeadLetterPage = Type.Object(
  { letters: Type.Array(DeadLetter), next: NextPage },
  { title: 'DeadLetterPage' },
)
export type DeadLetterPage = ResponseOf<typeof DeadLetterPage>

/** GET /v1/dead-letters/{id}. */
export const WholeDeadLetter = Type.Object(
  {
    ...DeadLetter.properties,
    message_id: Type.String({ description: "Pub/Sub's id of the message." }),
    attributes: Dictionary(Type.String(), {
      description: 'The attributes of the message, as they came.',
    }),
    bytes: Type.Integer({ description: 'The size of the body, bytes.' }),
    body: Type.Optional(Type.String({ description: 'The body as it came, if it is UTF-8.' })),
    body_base64: Type.Optional(
      Type.String({
        description:
          'The body in base64, if it is not UTF-8; only for callers with the scope operate.',
      }),
    ),
  },
  { title: 'WholeDeadLetter' },
)
export type WholeDeadLetter = ResponseOf<typeof WholeDeadLetter>

const RedrivenLetter = Type.Object(
  {
    id: Type.String(),
    status: Type.Enum(['redriven', 'redrivable'], {
      description: '`redrivable`: it would be, by a request that is no dry run.',
    }),
    run: Type.Integer({ description: 'The run that it goes on as.' }),
    ...job,
    step: Type.String({ description: 'The step that failed.' }),
    code: Type.String({ description: 'Why it failed.' }),
  },
  { title: 'RedrivenLetter' },
)

const RefusedLetter = Type.Object(
  {
    id: Type.String(),
    status: Type.Literal('refused'),
    code: Type.String({ description: 'Why it was not redriven; one of GET /v1/errors.' }),
    detail: Type.String(),
  },
  { title: 'RefusedLetter' },
)

const RedriveResult = Type.Union([RedrivenLetter, RefusedLetter], { title: 'RedriveResult' })
export type RedriveResult = ResponseOf<typeof RedriveResult>

/** POST /v1/dead-letters/redrive. */
export const RedriveResults = Type.Object(
  {
    dry_run: Type.Boolean(),
    redriven: Type.Integer(),
    left: Type.Integer({
      description: 'Those that are still to be redriven, for which there was no time.',
    }),
    not_redrivable: Type.Integer({
      description: 'Open letters that the filter lets through and that hold no job.',
    }),
    results: Type.Array(RedriveResult),
  },
  { title: 'RedriveResults' },
)
export type RedriveResults = ResponseOf<typeof RedriveResults>
