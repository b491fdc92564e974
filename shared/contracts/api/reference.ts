import { Type } from 'typebox'
import { MAKING_STAGES } from '../stages.ts'
import { Dictionary, type ResponseOf } from './response.ts'

/** GET /v1/derivatives. */
export const Derivatives = Type.Object(
  {
    derivatives: Type.Array(
      Type.Object(
        {
          id: Type.String({ description: 'What `derivative_assets` may name.' }),
          version: Type.Integer(),
          title: Type.String(),
          stage: Type.Enum([...MAKING_STAGES], {
            description: 'The stage that makes the asset.',
          }),
          files: Dictionary(Type.String(), {
            description: 'The content type of each file, by extension.',
          }),
          cost: Type.Object({
            fixed_ms: Type.Number({
              description: 'Core-milliseconds before the first sample.',
            }),
            ms_per_second: Type.Number({
              description: 'Core-milliseconds of each second of audio.',
            }),
          }),
          splittable: Type.Boolean({
            description: 'Whether parts of a track can be made side by side.',
          }),
        },
        { title: 'Derivative' },
      ),
    ),
  },
  { title: 'Derivatives' },
)
export type Derivatives = ResponseOf<typeof Derivatives>

/** GET /v1/schemas. */
export const MessageSchemas = Type.Object(
  {
    schemas: Type.Array(
      Type.Object({
        name: Type.String(),
        href: Type.String({ description: 'The address of the schema.' }),
      }),
    ),
  },
  { title: 'MessageSchemas' },
)
export type MessageSchemas = ResponseOf<typeof MessageSchemas>

/** GET /v1/schemas/{name}. */
export const MessageSchema = Dictionary(Type.Unknown(), {
  description: 'A JSON Schema of draft 2020-12.',
})

/** GET /v1/errors/{code}. */
export const ErrorExplained = Type.Object(
  {
    code: Type.String(),
    status: Type.Optional(
      Type.Integer({
        description: 'The HTTP status, of a code that only problem documents have.',
      }),
    ),
    effect: Type.Optional(
      Type.Enum(['fails', 'restarts', 'ends', 'goes on'], {
        description: 'What follows for the run, of a code of the chain. Only `fails` is final.',
      }),
    ),
    means: Type.String(),
    remedy: Type.String({ description: 'What to do about it.' }),
  },
  { title: 'ErrorExplained' },
)
export type ErrorExplained = ResponseOf<typeof ErrorExplained>

/** GET /v1/errors. */
export const ErrorList = Type.Object(
  { errors: Type.Array(ErrorExplained) },
  { title: 'ErrorList' },
)
export type ErrorList = ResponseOf<typeof ErrorList>
