const bornAt = Date.now() - performance.now()

/**
 * Milliseconds since the epoch: the machine's clock at the start of this process, plus the time elapsed since. Later
 * changes of that clock have no effect.
 */
export function steadyNow(): number {
  return bornAt + performance.now()
}
