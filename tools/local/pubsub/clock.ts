const bornAt = Date.now() - performance.now()

/**
 * Milliseconds since the epoch by the clock of the machine at the start of this process, and steady from then on: whatever
 * is done to that clock meanwhile, a second here takes a second.
 */
export function steadyNow(): number {
  return bornAt + performance.now()
}
