/** Places for what lasts, a body or a stream: so many in all, and so many of one client. */
interface Slots {
  /** @returns how to give the place back, which may be done twice; undefined when there is none. */
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
