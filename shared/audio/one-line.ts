import { sentence } from '../contracts/errors/chain.ts'

/**
 * What a program says, on one line and fit for a row: it may repeat titles out of the master, and those may hold
 * anything. Places in its memory are left out: they differ from one time to the next, and equal faults should not.
 */
export function printable(said: string): string {
  const line = said
    .trim()
    .replace(/\[[^\][]* @ 0x[0-9a-f]+\]\s*/gi, '')
    .replace(/0x[0-9a-f]{6,}/gi, '…')
    .replace(/\s*\n\s*/g, '; ')
  return sentence(line)
}
