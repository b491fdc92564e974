import { Type } from 'typebox'
import type { ResponseOf } from './response.ts'

/** What every refusal looks like: https://www.rfc-editor.org/rfc/rfc9457. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'Where the code is explained.' }),
    title: Type.String({ description: 'What the code means.' }),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable; one of GET /v1/errors.' }),
    detail: Type.String({ description: 'What was wrong, where, and what was expected.' }),
    instance: Type.String({ description: 'This occurrence; the log line has the same id.' }),
    at: Type.Optional(Type.String({ description: 'Where in the input the fault lies.' })),
    remedy: Type.String({ description: 'What to do about it.' }),
  },
  {
    title: 'Problem',
    description: 'A problem document, RFC 9457.',
    examples: [
      {
        type: '/v1/errors/NOT_FOUND',
        title: 'The address or the thing that it names does not exist.',
        status: 404,
        code: 'NOT_FOUND',
        detail: 'No job has read a master of the track example-track (yet).',
        instance: 'urn:uuid:3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11',
        at: '/asset_guid',
        remedy: 'Check the identifier.',
      },
    ],
  },
)
export type Problem = ResponseOf<typeof Problem>
