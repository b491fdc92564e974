/** Places for something that lasts, such as a body or a stream; limited in total and for each client. */
interface Slots {
  /**
   * Takes a place.
   * @returns a function that gives the place back and may be called twice; undefined when there is none
   */
  take(client: string): (() => void) | undefined
}

export function createSlots(most: number, each: number): Slots {
  const taken = new Map<string, number>()
  let all = 0
  return {
    take(client) {
      const own = taken.get(client) ?? 0
      if (all >= most || own >= each) return undefined
      all++
      taken.set(client, own + 1)
      let isHeld = true
      return () => {
        if (!isHeld) return
        isHeld = false
        all--
        const left = (taken.get(client) ?? 1) - 1
        if (left === 0) taken.delete(client)
        else taken.set(client, left)
      }
    },
  }
}
