import { TEXT_PATTERN } from './names.ts'

/** What a file may be called. */
export const FILE_NAME = { minLength: 1, maxLength: 255, pattern: TEXT_PATTERN } as const

/** What a title or an artist may be. */
export const TRACK_NAME = { maxLength: 500, pattern: TEXT_PATTERN } as const
