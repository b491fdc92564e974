import { MAKING_STAGES } from '#shared/contracts/stages.ts'
import type { Stopped } from './disturb.ts'
import { type Heard, isProgress } from './witness.ts'

/** A process that died while one of its steps held a core: from when to when, ms since the epoch. */
export interface CutOff {
  readonly pid: number
  readonly from: number
  readonly to: number
}

/** The steps that make assets: their time is what a kill can waste. */
const MAKING: readonly string[] = MAKING_STAGES

/**
 * The number of deliveries, by step, that followed an attempt which was never settled: its process died, or its ack was
 * lost. An attempt that was given back has an event of its own, and does not count.
 */
export function resumed(events: readonly Heard[]): Record<string, number> {
  const found: Record<string, number> = {}
  const givenBack = new Map<string, number>()
  const key = ({ job, run, step }: Heard, attempt: number) => [job, run, step, attempt].join()
  for (const event of events) {
    if (event.verdict !== 'retry') continue
    const which = key(event, event.attempt)
    givenBack.set(which, (givenBack.get(which) ?? 0) + 1)
  }
  for (const event of events) {
    if (event.attempt === 1) continue
    const which = key(event, event.attempt - 1)
    const left = givenBack.get(which) ?? 0
    if (left > 0) givenBack.set(which, left - 1)
    else found[event.step] = (found[event.step] ?? 0) + 1
  }
  return found
}

/** The mean duration of the steps that make assets, ms. */
export function meanStepMs(events: readonly Heard[]): number {
  const steps = events.filter(
    ({ step, verdict }) => MAKING.includes(step) && verdict === 'done',
  )
  const sum = steps.reduce((total, { ms }) => total + ms, 0)
  return steps.length === 0 ? 0 : sum / steps.length
}

/**
 * How long cores computed assets in vain, ms: in steps that were cut off by the death of their process, that were given
 * back, or that made units which another delivery had made already. An upper bound: units that a step had finished
 * before it was cut off are not made again, but are counted. Time in which a process was stopped, and so did not
 * compute, is not counted.
 */
export function computedTwiceMs(
  events: readonly Heard[],
  cutOffs: readonly CutOff[],
  stopped: readonly Stopped[],
): number {
  let sum = 0
  for (const cut of cutOffs) sum += cut.to - cut.from - stoppedMs(cut, stopped)
  const made = new Set<string>()
  for (const event of events) {
    const { step, verdict, job, run, units, ms, worker, at, heardMs } = event
    if (!MAKING.includes(step) || (verdict !== 'done' && verdict !== 'retry')) continue
    const ids = units.map((unit) => [job, run, unit].join())
    const again = ids.filter((id) => made.has(id)).length
    const share = verdict === 'retry' ? 1 : again / Math.max(1, ids.length)
    // All the time of what was given back is counted already.
    if (verdict === 'done') for (const id of ids) made.add(id)
    const pid = Number(worker.split('/').at(-1))
    const pause = stoppedMs({ pid, from: Date.parse(at), to: heardMs }, stopped)
    sum += share * Math.max(0, ms - pause)
  }
  return sum
}

/** A span of time, ms since the epoch. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** The longest time without any progress while at least one track was under way, ms. `ways`: when each track was. */
export function longestStallMs(events: readonly Heard[], ways: readonly Span[]): number {
  const moments = events.filter(isProgress).map(({ heardMs }) => heardMs)
  const longest = joined(ways).map((busy) => {
    const inside = moments.filter((at) => at > busy.from && at < busy.to)
    const all = [busy.from, ...inside.sort((a, b) => a - b), busy.to]
    return all.reduce((most, at, i) => Math.max(most, at - (all[i - 1] ?? at)), 0)
  })
  return Math.max(0, ...longest)
}

/** The spans, merged where they overlap or touch. */
function joined(spans: readonly Span[]): readonly Span[] {
  const whole: { from: number; to: number }[] = []
  for (const { from, to } of spans.toSorted((a, b) => a.from - b.from)) {
    const last = whole.at(-1)
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to)
    else whole.push({ from, to })
  }
  return whole
}

export function swept(events: readonly Heard[]): number {
  return events.filter(({ verdict }) => verdict === 'swept').length
}

function stoppedMs(
  { pid, from, to }: { readonly pid: number; readonly from: number; readonly to: number },
  stopped: readonly Stopped[],
): number {
  return stopped
    .filter((each) => each.pid === pid)
    .reduce(
      (sum, each) => sum + Math.max(0, Math.min(to, each.to) - Math.max(from, each.from)),
      0,
    )
}
