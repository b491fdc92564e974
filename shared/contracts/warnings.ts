import { PermanentError } from './errors/chain.ts'
import { MAX_WARNINGS, type Warning } from './warning.ts'

export type { Warning }

/**
 * Every code of a warning: its meaning, and the remedy for the person who reads it. A master with a warning is accepted
 * unless `strict` is set.
 *
 * A warning is a fact about the bytes of a master. It must not depend on how the parts were cut or on which step found
 * it. Warnings from the header and the length of the file are in `warnings` of the layout. Warnings from the whole
 * stream are in the result of its conversion, or are reported by a step of its own (services/stage/found.ts).
 */
export const WARNINGS = {
  CUT_SHORT: {
    means:
      'The master ends before the end that its header promises, or within its last page, frame or fragment; or its first frames are missing.',
    remedy: 'Deliver the whole of it: it was probably cut off on its way.',
  },
  HEADER_CONTRADICTS: {
    means:
      'Two numbers of the header contradict each other or the file; the one that fits the file was taken.',
    remedy: 'Listen to what was made of it, or have the master written anew.',
  },
  MORE_FOLLOWS: {
    means: 'More follows behind the end that the header states, and was left out.',
    remedy: 'See whether several masters were joined, or the header was never finished.',
  },
  MD5_MISMATCH: {
    means: 'The samples are not those whose MD5 the encoder wrote into the master.',
    remedy: 'Deliver the master anew: it was damaged after it was made.',
  },
  DAMAGED: {
    means:
      'Parts of the master can not be decoded and are left out, or are not as they were encoded.',
    remedy: 'Deliver a sound master.',
  },
} as const satisfies Record<string, { means: string; remedy: string }>

type WarningCode = keyof typeof WARNINGS

/** A warning. The sentence must not have addresses, unprintable bytes or messages of a decoder. */
export function warning(code: WarningCode, sentence: string): Warning {
  return { code, sentence }
}

/** CUT_SHORT, with the seconds that `what` (`the WAV`) promises and those that it has, to a millisecond or microsecond. */
export function cutShort(what: string, promised: number, present: number): Warning {
  const unit = promised - present < 0.001 ? 1e6 : 1000
  const seconds = (value: number) => Math.round(value * unit) / unit
  const [promised_seconds, present_seconds] = [seconds(promised), seconds(present)]
  const sentence = `${what} is cut short: its header promises ${promised_seconds} s, and ${present_seconds} s are there`
  return { code: 'CUT_SHORT', sentence, promised_seconds, present_seconds }
}

/** Merges warnings: each one once, in an order that does not depend on their origin. */
export function mergedWarnings(
  ...lists: readonly (readonly Warning[] | undefined)[]
): readonly Warning[] {
  const all = new Map<string, Warning>()
  for (const each of lists.flatMap((list) => list ?? []))
    all.set(`${each.code} ${each.sentence}`, each)
  return [...all]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, each]) => each)
    .slice(0, MAX_WARNINGS)
}

/** @throws PermanentError STRICT, with the sentences of the warnings, when there are any. */
export function refuseWarnings(warnings: readonly Warning[]): void {
  if (warnings.length === 0) return
  throw new PermanentError('STRICT', warnings.map(({ sentence }) => sentence).join('; '))
}
