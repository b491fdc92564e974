/** Maximum roughness of sound. Rougher numbers may be noise. */
export const SMOOTH = 0.35

/** How far numbers lie from the preceding ones in the same channel: 1 for white noise, near 0 for a slow tone. */
export class Roughness {
  #count = 0
  #sum = 0
  #squares = 0
  #differences = 0

  add(value: number, before: number): void {
    this.#differences += (value - before) ** 2
    this.#sum += value
    this.#squares += value * value
    this.#count++
  }

  /** The variance of the numbers. */
  power(): number {
    return this.#squares / this.#count - (this.#sum / this.#count) ** 2
  }

  /** The mean of the numbers. */
  mean(): number {
    return this.#sum / this.#count
  }

  /** The roughness. It is 1 for numbers that never change. */
  value(): number {
    const power = this.power()
    return power > 0 ? this.#differences / this.#count / (2 * power) : 1
  }
}
