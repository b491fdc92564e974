/** What an item of a sample has taken. */
interface Sampled {
  /** The length of its track; null: not known, because its master could not be read. */
  readonly seconds: number | null
  readonly coreSeconds: number
}

/** What a whole list will take, core-seconds, and a range in which it lies in nineteen of twenty cases. */
interface Estimate {
  readonly coreSeconds: number
  readonly from: number
  readonly to: number
}

/** How often the sample is drawn again for the range. */
const DRAWS = 400

/**
 * What a list takes of which a sample was really run: core-seconds = a + b × seconds of audio, by least squares. The
 * range is what comes of samples that are drawn from the sample again (bootstrap).
 * @param items the length of the list
 * @param meanSeconds the mean length of its tracks; null where it is not known: as the sample's
 * @param random numbers from 0 to below 1
 * @returns undefined when the sample is empty
 */
export function estimateOf(
  sample: readonly Sampled[],
  { items, meanSeconds }: { readonly items: number; readonly meanSeconds: number | null },
  random: () => number = Math.random,
): Estimate | undefined {
  if (sample.length === 0) return undefined
  const drawn = Array.from(
    { length: DRAWS },
    () =>
      items *
      meanOf(
        sample.map(() => sample[Math.floor(random() * sample.length)] as Sampled),
        meanSeconds,
      ),
  ).sort((a, b) => a - b)
  return {
    coreSeconds: items * meanOf(sample, meanSeconds),
    from: drawn[Math.floor(0.025 * DRAWS)] ?? 0,
    to: drawn[Math.ceil(0.975 * DRAWS) - 1] ?? 0,
  }
}

/** Core-seconds of an item, on average. Those without a length are as common in the list as in the sample. */
function meanOf(sample: readonly Sampled[], meanSeconds: number | null): number {
  const known = sample.filter(({ seconds }) => seconds !== null)
  const all = mean(sample.map(({ coreSeconds }) => coreSeconds))
  if (known.length === 0 || meanSeconds === null) return all
  const lengths = known.map(({ seconds }) => seconds ?? 0)
  const costs = known.map(({ coreSeconds }) => coreSeconds)
  const [x, y] = [mean(lengths), mean(costs)]
  const variance = mean(lengths.map((each) => (each - x) ** 2))
  const together = mean(lengths.map((each, index) => (each - x) * ((costs[index] ?? 0) - y)))
  // Longer tracks are never cheaper: a slope below 0 is chance.
  const slope = variance > 0 ? Math.max(0, together / variance) : 0
  return Math.max(0, all + (known.length / sample.length) * slope * (meanSeconds - x))
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length
}
