import { CHAIN } from '#shared/contracts/stages.ts'
import type { Measured } from './measure.ts'

/**
 * A Markdown table of the runs of several chains: the medians of each, and how its rate compares with that of the first.
 * What is no step of the chain counts as its servers.
 */
export function table(runs: ReadonlyMap<string, readonly Measured[]>): string {
  const [first = []] = runs.values()
  const own = median(first.map(({ jobsPerMinute }) => jobsPerMinute))
  const head = ['chain', 'jobs a minute', 'ratio', 'core-ms a job', ...CHAIN, 'servers']
  const rows = [...runs].map(([name, all]) => {
    const rate = median(all.map(({ jobsPerMinute }) => jobsPerMinute))
    const names = new Set(all.flatMap(({ coreMs }) => Object.keys(coreMs)))
    const ofProcess = (process: string) => median(all.map(({ coreMs }) => coreMs[process] ?? 0))
    const total = median(all.map(({ coreMs }) => sum(Object.values(coreMs))))
    const steps = CHAIN.map(ofProcess)
    const servers = [...names]
      .filter((process) => !(CHAIN as readonly string[]).includes(process))
      .map((process) => `${process} ${ofProcess(process).toFixed(2)}`)
    const cores = [...[total, ...steps].map((ms) => ms.toFixed(2)), servers.join(', ')]
    return [name, Math.round(rate).toLocaleString('en'), (rate / own).toFixed(2), ...cores]
  })
  const rule = head.map((_, index) => (index === 0 ? '---' : '---:'))
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number
}
