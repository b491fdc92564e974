/**
 * The message of anything that was thrown, fit for a log line, a sentence or a row: a message may quote the bytes at
 * fault, and one NUL in an event would dead-letter the whole batch. Never throws.
 */
export function sentence(error: unknown): string {
  try {
    const text = error instanceof Error ? String(error.message) : String(error)
    return text
      .toWellFormed()
      .replace(/(?![\t\n])\p{Cc}/gu, (unfit) => JSON.stringify(unfit).slice(1, -1))
  } catch {
    return 'something that says nothing of itself'
  }
}
