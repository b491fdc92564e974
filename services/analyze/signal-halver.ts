/**
 * Halves the sample rate of a stream, piece by piece, with a half-band FIR filter: a sinc under a
 * Hann window, whose even coefficients are zero, so that few multiplications are left.
 */
export class Halver {
  readonly #reach: number
  readonly #taps: Float64Array
  readonly #centre: number
  #rest: Float32Array

  /** @param reach Coefficients on each side of the centre; odd. More make a steeper filter. */
  constructor(reach: number) {
    const taps = Float64Array.from({ length: (reach + 1) / 2 }, (_, i) => {
      const k = 2 * i + 1
      const window = 0.5 + 0.5 * Math.cos((Math.PI * k) / (reach + 1))
      return (Math.sin((Math.PI * k) / 2) / (Math.PI * k)) * window
    })
    const gain = taps.reduce((sum, tap) => sum + 2 * tap, 0.5)
    this.#reach = reach
    this.#taps = taps.map((tap) => tap / gain)
    this.#centre = 0.5 / gain
    this.#rest = new Float32Array(reach)
  }

  /** Takes any number of samples and gives those of half the rate that are due. */
  push(samples: Float32Array): Float32Array {
    const reach = this.#reach
    const taps = this.#taps
    const x = new Float32Array(this.#rest.length + samples.length)
    x.set(this.#rest)
    x.set(samples, this.#rest.length)
    const count = Math.max(0, Math.ceil((x.length - 2 * reach) / 2))
    const halved = new Float32Array(count)
    for (let i = 0; i < count; i++) {
      const at = reach + 2 * i
      let sum = this.#centre * (x[at] as number)
      for (let t = 0; t < taps.length; t++) {
        const k = 2 * t + 1
        sum += (taps[t] as number) * ((x[at - k] as number) + (x[at + k] as number))
      }
      halved[i] = sum
    }
    this.#rest = x.slice(2 * count)
    return halved
  }
}
