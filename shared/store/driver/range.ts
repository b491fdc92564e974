/**
 * The range [start, end) cut to an object of `bytes` bytes; empty if it lies past the end.
 * @throws RangeError when start or end is no whole number from 0.
 */
export function cutRange(
  options: { readonly start?: number; readonly end?: number } | undefined,
  bytes: number,
): { start: number; end: number } {
  const start = offset(options?.start ?? 0)
  const end = offset(options?.end ?? bytes)
  const from = Math.min(start, bytes)
  return { start: from, end: Math.max(from, Math.min(end, bytes)) }
}

function offset(value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new RangeError(`a byte offset is a whole number from 0, not ${value}`)
}
