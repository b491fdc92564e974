/** How long one body may be worked on before another has its turn, ms. */
const TURN_MS = 4

/** Who works on what came asks for turns, so that however many bodies there are, nobody else waits for long. */
export interface Turns {
  /** Resolves when it is this one's turn. @returns until when, by performance.now(): then ask again. */
  next(): Promise<number>
}

/**
 * Turns that go round: one in each round of the event loop, in the order of asking, so that between two of them
 * whatever else is due is done.
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
