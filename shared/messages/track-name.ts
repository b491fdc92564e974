import { TEXT_PATTERN } from '../names.ts'

/** What a title or an artist may be. */
export const TRACK_NAME = { maxLength: 500, pattern: TEXT_PATTERN } as const
