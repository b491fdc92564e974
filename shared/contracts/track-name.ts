import { TEXT_PATTERN } from './names.ts'

/** The bounds of a file's name. */
export const FILE_NAME = { minLength: 1, maxLength: 255, pattern: TEXT_PATTERN } as const

/** The bounds of a title or an artist. */
export const TRACK_NAME = { maxLength: 500, pattern: TEXT_PATTERN } as const
