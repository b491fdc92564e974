/**
 * Number of output samples computed together, which takes half the time of computing them one by one. Surplus
 * samples of the last group are dropped.
 */
const GROUP = 4

/**
 * Halves the sample rate of a stream, piece by piece, with a half-band FIR filter: a sinc under a Hann window.
 * Its even coefficients are zero, which saves multiplications.
 */
export class Halver {
  #x = new Float32Array(0)
  #halved = new Float32Array(0)
  readonly #reach: number
  readonly #taps: Float64Array
  readonly #centre: number
  #rest: Float32Array

  /** @param reach number of coefficients on each side of the centre, odd; a larger number makes a steeper filter */
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

  /**
   * Takes any number of samples and returns the samples of half the rate that are complete. The result is valid
   * until the next call.
   */
  push(samples: Float32Array): Float32Array {
    const reach = this.#reach
    const taps = this.#taps
    const centre = this.#centre
    const length = this.#rest.length + samples.length
    const count = Math.max(0, Math.ceil((length - 2 * reach) / 2))
    const rounds = Math.ceil(count / GROUP)
    this.#x = roomFor(this.#x, length + 2 * GROUP)
    this.#halved = roomFor(this.#halved, GROUP * rounds)
    const x = this.#x
    const halved = this.#halved
    x.set(this.#rest)
    x.set(samples, this.#rest.length)
    for (let round = 0; round < rounds; round++) {
      const first = GROUP * round
      const at = reach + 2 * first
      let a = centre * (x[at] as number)
      let b = centre * (x[at + 2] as number)
      let c = centre * (x[at + 4] as number)
      let d = centre * (x[at + 6] as number)
      for (let t = 0; t < taps.length; t++) {
        const tap = taps[t] as number
        const before = at - 2 * t - 1
        const after = at + 2 * t + 1
        a += tap * ((x[before] as number) + (x[after] as number))
        b += tap * ((x[before + 2] as number) + (x[after + 2] as number))
        c += tap * ((x[before + 4] as number) + (x[after + 4] as number))
        d += tap * ((x[before + 6] as number) + (x[after + 6] as number))
      }
      halved[first] = a
      halved[first + 1] = b
      halved[first + 2] = c
      halved[first + 3] = d
    }
    this.#rest = x.slice(2 * count, length)
    return halved.subarray(0, count)
  }
}

/** Returns the given memory if it is long enough, else a new array. */
export function roomFor(
  memory: Float32Array<ArrayBuffer>,
  length: number,
): Float32Array<ArrayBuffer> {
  return memory.length >= length ? memory : new Float32Array(length)
}
