import { type Static, Type } from 'typebox'

/** Something that is missing or wrong in a master that was accepted all the same. `shared/contracts/warnings.ts` has the codes. */
export const Warning = Type.Object(
  {
    code: Type.String({ pattern: '^[A-Z][A-Z0-9_]{1,39}$' }),
    /** For people: what is missing or wrong, and what was made of it. */
    sentence: Type.String({ minLength: 1, maxLength: 1000 }),
    /** Seconds of audio that the master promises, and that are there. */
    promised_seconds: Type.Optional(Type.Number({ minimum: 0 })),
    present_seconds: Type.Optional(Type.Number({ minimum: 0 })),
  },
  { additionalProperties: false },
)
export type Warning = Readonly<Static<typeof Warning>>

/** How many warnings a master has at most. */
export const MAX_WARNINGS = 20

/** Sorted and without repetitions, as `mergedWarnings` makes them; absent: none. */
export const Warnings = Type.Optional(Type.Array(Warning, { maxItems: MAX_WARNINGS }))
