/**
 * The number of significant decimals of a tempo: the last one is worth at least the standard error.
 * @param error The error that is exceeded with a probability of 5 %, beats per minute. If unknown, the result is 2.
 */
export function tempoDecimals(error: number | null | undefined): 0 | 1 | 2 {
  if (error === null || error === undefined || error <= 0.02) return 2
  return error <= 0.2 ? 1 : 0
}

/** A tempo as text: `128.01`, or `60.0` if only ten seconds were analyzed. */
export function tempoText(bpm: number, error: number | null | undefined): string {
  return bpm.toFixed(tempoDecimals(error))
}
