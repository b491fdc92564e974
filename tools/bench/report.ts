import { BUDGET_MS } from '#shared/contracts/stages.ts'
import type { Cost } from './cost-of-run.ts'

/** The cost of a job and of the same work by hand, core-seconds, and their ratio. */
type Compared = Cost & { readonly byHandSeconds: number; readonly ratio: number }

export interface BenchResult {
  readonly cores: number
  /** How many times slower than the reference a core encodes. */
  readonly slower: number
  readonly track: Compared
  readonly mix?: Compared
  /** Jobs of one asset each, of the same track. */
  readonly alone: Readonly<Record<string, Cost>>
  /** The job of the track again, when all its assets exist. */
  readonly again: Cost
  readonly queue?: {
    readonly tracks: number
    readonly secondsEach: number
    /** Share of all cores that was busy, from the first publish to the last event, 0 to 1. */
    readonly busy: number
    readonly perMinute: number
    readonly cost: Cost
  }
}

/** The result as Markdown tables. */
export function benchReport(result: BenchResult): string {
  const { cores, slower, track, mix, alone, again, queue } = result
  const parts = [
    `${cores} cores. Core-seconds: user + system of every process of the chain, children included.`,
    `A core here takes ${slower} times as long as the reference, by which the track costs ${(track.coreSeconds / slower).toFixed(1)} core-seconds.`,
    compared('The track', track),
    table(
      ['asset, alone', 'core-seconds', 'services', 'store operations', 'messages'],
      Object.entries(alone).map(([id, cost]) => [
        ...[id, cost.coreSeconds, services(cost), cost.storeOperations, cost.messages],
      ]),
    ),
    `Once more, when all is there: ${again.coreSeconds} core-seconds, ${again.bytesRead} bytes read, ${again.messages} messages.`,
    ...(mix ? [compared('The mix', mix)] : []),
    ...(queue
      ? [
          `A queue of ${queue.tracks} tracks of ${queue.secondsEach} s: ${(100 * queue.busy).toFixed(1)} % of the cores busy from the first publish to the last event, ${queue.perMinute} tracks a minute, ${(queue.cost.coreSeconds / queue.tracks).toFixed(2)} core-seconds each.`,
          memory(queue.cost),
        ]
      : []),
  ]
  return parts.join('\n\n')
}

function compared(title: string, cost: Compared): string {
  const { coreSeconds, byHandSeconds, ratio, wallSeconds } = cost
  return [
    `**${title}**: ${coreSeconds} core-seconds, by hand ${byHandSeconds}: ${ratio} ×. Wall-clock ${wallSeconds} s. ` +
      `${cost.storeOperations} store operations, ${megabytes(cost.bytesRead)} read, ${megabytes(cost.bytesWritten)} written; ` +
      `${cost.messages} messages of ${Math.round(cost.messageBytes / 1000)} kB in all.`,
    table(
      ['process', 'core-seconds', 'most memory, MiB'],
      Object.entries(cost.byProcess).map(([name, seconds]) => [
        ...[name, seconds, cost.peakMiB[name] ?? 0],
      ]),
    ),
    table(
      ['step', 'how many', 'median ms', 'most ms', `over ${BUDGET_MS / 1000} s`],
      cost.steps.map(({ step, count, medianMs, mostMs, overBudget }) => [
        ...[step, count, medianMs, mostMs, overBudget],
      ]),
    ),
  ].join('\n\n')
}

function services({ byProcess }: Cost): string {
  return Object.entries(byProcess)
    .filter(([, seconds]) => seconds >= 0.05)
    .map(([name, seconds]) => `${name} ${seconds}`)
    .join(', ')
}

function memory({ peakMiB }: Cost): string {
  const each = Object.entries(peakMiB).map(([name, mib]) => `${name} ${mib}`)
  return `Most memory meanwhile, MiB: ${each.join(', ')}.`
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

function table(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  return [head, head.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')
}
