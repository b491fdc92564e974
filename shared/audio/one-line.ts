import { sentence } from '../contracts/errors/sentence.ts'

/**
 * The output of a program on one line, fit for a row: it may quote titles from the master, which may contain anything.
 * Memory addresses are left out, because they differ from run to run, while equal faults should yield equal text.
 */
export function oneLine(said: string): string {
  const line = said
    .trim()
    .replace(/\[[^\][]* @ 0x[0-9a-f]+\]\s*/gi, '')
    .replace(/0x[0-9a-f]{6,}/gi, '…')
    .replace(/\s*\n\s*/g, '; ')
  return sentence(line)
}
