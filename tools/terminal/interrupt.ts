/** A second signal within this time is the same Ctrl-C, ms: npm forwards the one that the terminal has already sent. */
const SAME_MS = 1_000

/** A person or the system has asked the process to end. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
}

/**
 * An AbortSignal that aborts at the first SIGINT, SIGTERM or SIGHUP. At the second one `atOnce` is called, and the
 * process exits with 130.
 */
export function interruptible(atOnce: () => void): AbortSignal {
  const stopping = new AbortController()
  let since: number | undefined
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (since === undefined) {
        since = performance.now()
        stopping.abort(new Interrupted(signal))
      } else if (performance.now() - since > SAME_MS) {
        atOnce()
        process.exit(130)
      }
    })
  }
  return stopping.signal
}
