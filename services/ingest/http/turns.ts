/** How long one body may be processed before another has its turn, ms. */
const TURN_MS = 4

/** Schedules work on bodies: each takes turns, so that no request waits long, however many bodies there are. */
export interface Turns {
  /**
   * Resolves when it is the caller's turn.
   * @returns the end of the turn, by performance.now(); after that, call it again
   */
  next(): Promise<number>
}

/**
 * Creates turns in a round-robin order. One turn is given in each round of the event loop, so that other events
 * are handled between two turns.
 * @param turnMs the length of a turn, ms
 */
export function createTurns(turnMs = TURN_MS): Turns {
  let asked: (() => void)[] = []
  let round: (() => void)[] = []
  let isGoing = false

  function go(): void {
    if (round.length === 0) {
      round = asked.reverse()
      asked = []
    }
    const next = round.pop()
    isGoing = next !== undefined
    if (next === undefined) return
    next()
    setImmediate(go)
  }

  return {
    next() {
      const { promise, resolve } = Promise.withResolvers<number>()
      asked.push(() => resolve(performance.now() + turnMs))
      if (!isGoing) {
        isGoing = true
        setImmediate(go)
      }
      return promise
    },
  }
}
