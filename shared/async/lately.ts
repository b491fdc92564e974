/**
 * Caches the answer of `ask` for `ms` milliseconds after it has come. Calls while it is pending, or cached, get the
 * same promise. A rejection is cached likewise.
 */
export function lately<T>(ask: () => Promise<T>, ms: number): () => Promise<T> {
  let last: Promise<T> | undefined
  let until = 0
  return () => {
    if (last !== undefined && performance.now() < until) return last
    until = Number.POSITIVE_INFINITY
    const asked = ask().finally(() => {
      until = performance.now() + ms
    })
    last = asked
    return asked
  }
}
