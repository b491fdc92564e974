import type { Metrics } from '#shared/frame/telemetry/metrics.ts'

/** The values that a scrape has, by name and labels as they stand there. */
export async function scraped(
  metrics: Pick<Metrics, 'expose'>,
): Promise<ReadonlyMap<string, number>> {
  const lines = (await metrics.expose()).split('\n').filter((line) => /^[a-z]/.test(line))
  return new Map(
    lines.map((line) => {
      const end = line.lastIndexOf(' ')
      return [line.slice(0, end), Number(line.slice(end + 1))]
    }),
  )
}
