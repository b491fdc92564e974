import { type Static, Type } from 'typebox'

/** Something that is missing or wrong in an accepted master. `shared/contracts/warnings.ts` has the codes. */
export const Warning = Type.Object(
  {
    code: Type.String({ pattern: '^[A-Z][A-Z0-9_]{1,39}$' }),
    /** For people: what is missing or wrong, and what was made of it. */
    sentence: Type.String({ minLength: 1, maxLength: 1000 }),
    /** The seconds of audio that the master promises, and those that it has. */
    promised_seconds: Type.Optional(Type.Number({ minimum: 0 })),
    present_seconds: Type.Optional(Type.Number({ minimum: 0 })),
  },
  { additionalProperties: false },
)
export type Warning = Readonly<Static<typeof Warning>>

/** The maximum number of warnings about a master. */
export const MAX_WARNINGS = 20

/** Sorted and without repetitions, as `mergedWarnings` makes them; absent: none. */
export const Warnings = Type.Optional(Type.Array(Warning, { maxItems: MAX_WARNINGS }))
