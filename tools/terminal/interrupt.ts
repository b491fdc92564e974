/** npm hands a Ctrl-C on that the terminal has already sent: so soon after the first it is the same, ms. */
const SAME_MS = 1_000

/** The person at the terminal, or the system, wants an end. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
}

/**
 * A signal that aborts at the first SIGINT, SIGTERM or SIGHUP. At a second one `atOnce` is called and the
 * process ends with 130.
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
