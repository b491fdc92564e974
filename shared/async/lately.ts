/**
 * Asks at most once in `ms`: whoever asks meanwhile, or while an answer is still due, gets the same answer. A fault is
 * told to all who wait for it, and kept as long.
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
