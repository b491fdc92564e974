import { BUDGET_MS } from '#shared/contracts/stages.ts'
import type { Spent } from './workload.ts'

/** The cost of a job of one track. */
export interface Cost {
  /** Core-seconds of all processes of the chain together. */
  readonly coreSeconds: number
  /** Core-seconds by process. */
  readonly byProcess: Readonly<Record<string, number>>
  /** From the job's publishing to its last event, seconds. */
  readonly wallSeconds: number
  readonly steps: readonly StepTimes[]
  readonly storeOperations: number
  readonly bytesRead: number
  readonly bytesWritten: number
  /** Number of messages, each published, delivered and acknowledged once, and their bytes. */
  readonly messages: number
  readonly messageBytes: number
  /** Peak memory of each process with its children, MiB. */
  readonly peakMiB: Readonly<Record<string, number>>
}

/** Wall-clock time of the steps of one kind, ms. */
interface StepTimes {
  readonly step: string
  readonly count: number
  readonly medianMs: number
  readonly mostMs: number
  readonly overBudget: number
}

/**
 * The cost of several runs of the same job: that of the run with the median core-seconds, with the highest peaks of all
 * runs.
 */
export function costOf(runs: readonly Spent[]): Cost {
  const sorted = runs.toSorted((a, b) => sum(a.coreMs) - sum(b.coreMs))
  const spent = sorted[sorted.length >> 1]
  if (spent === undefined) throw new Error('no runs')
  const messages = Object.values(spent.messages)
  return {
    coreSeconds: seconds(sum(spent.coreMs)),
    byProcess: mapped(spent.coreMs, seconds),
    wallSeconds: seconds(spent.wallMs),
    steps: stepTimes(runs.flatMap(({ events }) => events)),
    storeOperations: total(spent.events.map(({ store_operations = 0 }) => store_operations)),
    bytesRead: total(spent.events.map(({ bytes_read = 0 }) => bytes_read)),
    bytesWritten: total(spent.events.map(({ bytes_written = 0 }) => bytes_written)),
    messages: total(messages.map(({ count }) => count)),
    messageBytes: total(messages.map(({ bytes }) => bytes)),
    peakMiB: mapped(peaks(runs), (bytes) => Math.round(bytes / 2 ** 20)),
  }
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}

function stepTimes(events: Spent['events']): StepTimes[] {
  return [...Map.groupBy(events, ({ step }) => step)].map(([step, of]) => {
    const ms = of.map((event) => event.ms)
    const overBudget = ms.filter((each) => each > BUDGET_MS).length
    return { step, count: ms.length, medianMs: median(ms), mostMs: Math.max(...ms), overBudget }
  })
}

function peaks(runs: readonly Spent[]): Record<string, number> {
  const most: Record<string, number> = {}
  for (const [name, bytes] of runs.flatMap(({ peakBytes }) => Object.entries(peakBytes))) {
    most[name] = Math.max(most[name] ?? 0, bytes)
  }
  return most
}

function sum(of: Readonly<Record<string, number>>): number {
  return total(Object.values(of))
}

function total(of: readonly number[]): number {
  return of.reduce((all, each) => all + each, 0)
}

function seconds(ms: number): number {
  return Number((ms / 1000).toFixed(2))
}

function mapped(of: Readonly<Record<string, number>>, by: (value: number) => number) {
  return Object.fromEntries(Object.entries(of).map(([name, value]) => [name, by(value)]))
}
