/**
 * What a program says, on one line and fit for a terminal: it may repeat titles out of the master, and those may hold
 * anything.
 */
export function printable(said: string): string {
  return said
    .trim()
    .replace(/\s*\n\s*/g, '; ')
    .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\u2028\u2029]/gu, '?')
}
