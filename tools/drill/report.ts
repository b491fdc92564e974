import type { Comparison } from './compare.ts'
import type { Kind } from './schedule.ts'

/** The report of a drill. Null: the drill could not observe it, because it ran against a deployment. */
export interface DrillReport extends Omit<Comparison, 'duplicates'> {
  readonly duplicates: Comparison['duplicates'] | null
  readonly seed: number
  readonly tracks: number
  readonly published: number
  /** Jobs that were cancelled, that had ended before, and those of both that came to something else. */
  readonly cancels: {
    readonly cancelled: number
    readonly ended: number
    readonly went_on: number
  } | null
  /** Announcements that came again under the same id. They are allowed, and the reason why there is an id. */
  readonly announced_again: number | null
  readonly dead_letters: number | null
  readonly swept: number
  readonly left_in_queue: number | null
  readonly done: Readonly<Record<Kind, number>> | null
  readonly kills_at_work: number | null
  readonly processes_killed: number | null
  readonly messages_copied: number | null
  readonly process_starts: number | null
  /** Number of deliveries that followed one which was never settled, by step. */
  readonly resumed: Readonly<Record<string, number>>
  readonly computed_twice_seconds: number | null
  /** Mean duration of the steps that make assets, s. */
  readonly mean_step_seconds: {
    readonly undisturbed: number | null
    readonly disturbed: number
  }
  /** Core-seconds of all processes, in both passes. */
  readonly core_seconds: { readonly undisturbed: number; readonly disturbed: number } | null
  /** Seconds from the first submission to the last announcement. */
  readonly seconds: { readonly undisturbed: number | null; readonly disturbed: number }
  readonly longest_stall_seconds: number
  /** A sentence for each track or output that is lost, wrong or doubled; the first hundred. */
  readonly findings: readonly string[]
}

export const MAX_FINDINGS = 100

/** Whether nothing was lost, wrong or doubled. */
export function isGood({ lost, wrong, duplicates, cancels }: DrillReport): boolean {
  const counts = [lost, wrong, cancels?.went_on ?? 0, ...Object.values(duplicates ?? {})]
  return counts.every((count) => count === 0)
}

/** The report for a person. */
export function printed(report: DrillReport): string {
  const { duplicates, seconds, findings, mean_step_seconds: step } = report
  const { computed_twice_seconds: computed } = report
  const twice = computed === null ? null : `${computed} s of a core at most`
  const doubled =
    duplicates &&
    `${duplicates.rows} rows, ${duplicates.assets} assets, ${duplicates.published} published`
  const resumed = Object.entries(report.resumed).map(([step, count]) => `${step} ${count}`)
  const rows: readonly Row[] = [
    ['tracks in', report.tracks],
    ['published', report.published],
    ['lost', report.lost],
    ['wrong', report.wrong],
    ['duplicates', doubled],
    ['cancelled', cancelsIn(report)],
    ['announced again', report.announced_again],
    ['dead letters', report.dead_letters],
    ['swept', report.swept],
    ['left in the queue', report.left_in_queue],
    ...disturbances(report),
    ['resumed', resumed.join(', ') || 'nothing'],
    ['computed twice', twice],
    ['a step on average', beside(step.disturbed, step.undisturbed)],
    ...costs(report),
    ['seconds', beside(seconds.disturbed, seconds.undisturbed)],
    ['longest stall', `${report.longest_stall_seconds} s`],
  ]
  const lines = rows
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name.padEnd(18)} ${value}`)
  const end = isGood(report)
    ? 'Nothing lost, nothing wrong, nothing twice.'
    : 'The chain did NOT keep its word:'
  return `\n${[...lines, '', end, ...findings].join('\n')}\n`
}

function cancelsIn({ cancels }: DrillReport): string | null {
  if (cancels === null || cancels.cancelled + cancels.ended === 0) return null
  const { cancelled, ended, went_on } = cancels
  return `${cancelled}, ${ended} more had ended; ${went_on} of them came to something else`
}

type Row = readonly [name: string, value: string | number | null]

function disturbances(report: DrillReport): readonly Row[] {
  const { done } = report
  if (done === null) return []
  return [
    ['kills', `${done.kill}, ${report.kills_at_work} of them while a track was under way`],
    ['processes', `${report.processes_killed} killed, ${report.process_starts} started in all`],
    ['SIGTERM, SIGSTOP', `${done.term}, ${done.stop}`],
    ['copies', `${report.messages_copied} messages published again, in any order`],
  ]
}

function costs({ core_seconds: cores }: DrillReport): readonly Row[] {
  return cores === null ? [] : [['core-seconds', beside(cores.disturbed, cores.undisturbed)]]
}

function beside(disturbed: number, undisturbed: number | null): string {
  if (undisturbed === null) return `${disturbed}`
  const more = Math.round((disturbed / undisturbed - 1) * 100)
  return `${disturbed}; undisturbed ${undisturbed} (${more < 0 ? '' : '+'}${more} %)`
}
