/** The server generates this module from the list that the whole chain uses. */
export const AUDIO_EXTENSIONS: readonly string[]
/** A regular expression, matched without case. */
export const LEFT_BY_SYSTEM: string
