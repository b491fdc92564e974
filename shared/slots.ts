/** So many places for work that wants a core of its own. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(places: number) {
    this.#free = places
  }

  /** A place, if one is free. What it returns gives the place back. */
  tryTake(): (() => void) | undefined {
    if (this.#free === 0) return undefined
    this.#free--
    let isHeld = true
    return () => {
      if (isHeld) this.#release()
      isHeld = false
    }
  }

  /** Waits for a place; those who wait are woken in their order. @throws the signal's reason when it aborts before. */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    for (let taken = this.tryTake(); ; taken = this.tryTake()) {
      if (taken !== undefined) return taken
      await this.#freed(signal)
    }
  }

  #freed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = () => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      const leave = () => {
        const at = this.#waiting.indexOf(wake)
        if (at >= 0) this.#waiting.splice(at, 1)
        reject(signal.reason)
      }
      this.#waiting.push(wake)
      signal.addEventListener('abort', leave, { once: true })
    })
  }

  #release(): void {
    this.#free++
    this.#waiting.shift()?.()
  }
}
