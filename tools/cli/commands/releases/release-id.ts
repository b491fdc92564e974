import { UsageError } from '../../../terminal/usage.ts'

/** The release that an argument names. @throws UsageError */
export function releaseIn(text: string): number {
  const number = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(number)) return number
  throw new UsageError(
    `A release is a whole number up to 2^53 - 1 either way, got ${JSON.stringify(text)}.`,
  )
}
