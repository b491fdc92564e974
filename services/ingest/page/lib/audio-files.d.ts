/** The server makes this module of the list that all of the chain has. */
export const AUDIO_EXTENSIONS: readonly string[]
/** A pattern: case does not matter. */
export const LEFT_BY_SYSTEM: string
