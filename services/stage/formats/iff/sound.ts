/** The number of bytes of samples in a file. */
export interface SoundSize {
  readonly bytes: number
  /** The number that the header promises, if it is larger. */
  readonly promised?: number
  /** A sentence about sizes that contradict each other or the file. */
  readonly contradicts?: string
  /** A sentence about bytes that follow and were left out. */
  readonly leftOut?: string
}
