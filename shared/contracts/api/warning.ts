import { Type } from 'typebox'
import { Remedy, type ResponseOf } from './response.ts'

/** Something that is missing or wrong in a master that was accepted all the same. */
export const Warning = Type.Object(
  {
    code: Type.String({
      description: 'Stable, e.g. CUT_SHORT; docs/reference/masters.md has them.',
    }),
    sentence: Type.String({
      description: 'What is missing or wrong, and what was made of it.',
    }),
    promised_seconds: Type.Optional(
      Type.Number({ description: 'Seconds of audio that the master promises.' }),
    ),
    present_seconds: Type.Optional(
      Type.Number({ description: 'Seconds of audio that are there.' }),
    ),
    remedy: Type.Optional(Remedy),
  },
  { title: 'Warning', description: 'Something that is missing or wrong in a master.' },
)
export type Warning = ResponseOf<typeof Warning>
