/** How many bytes of samples a file has. */
export interface SoundSize {
  readonly bytes: number
  /** How many the header promises, where that is more. */
  readonly promised?: number
  /** Which of its numbers contradict each other or the file. */
  readonly contradicts?: string
  /** What follows that should be nothing, or no samples. */
  readonly leftOut?: string
}
