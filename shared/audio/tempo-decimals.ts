/**
 * How many decimals of a tempo mean something: the last one is worth at least its standard error.
 * @param error what it may be off by with a probability of 5 %, beats per minute; where that is not known, 2
 */
export function tempoDecimals(error: number | null | undefined): 0 | 1 | 2 {
  if (error === null || error === undefined || error <= 0.02) return 2
  return error <= 0.2 ? 1 : 0
}

/** A tempo as it is printed: `128.01`, `60.0` when it was heard for ten seconds only. */
export function tempoText(bpm: number, error: number | null | undefined): string {
  return bpm.toFixed(tempoDecimals(error))
}
