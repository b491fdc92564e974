import { orLate } from '#shared/async/abort.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'

/** `unknown`: a permission is missing, or there is nothing to ask. */
type State = 'ok' | 'warning' | 'fault' | 'unknown'

/** The result of one check. */
export interface Finding {
  /** The object of the check, e.g. `subscription stage`. */
  readonly check: string
  readonly state: State
  readonly found: string
  /** What to do about it; absent when there is nothing to do. */
  readonly remedy?: string
}

export interface Check {
  readonly name: string
  /** Runs the check. An exception is a fault, and so is a check that takes longer than the limit. */
  run(signal: AbortSignal): Promise<readonly Finding[]>
  /** What to do when it throws or hangs. */
  readonly remedy: string
}

/** Time limit of a check, ms: a check that hangs is a fault. */
export const LIMIT_MS = 10_000

/** Runs the checks concurrently. Never throws, and resolves after `limitMs` at the latest. */
export async function runChecks(
  checks: readonly Check[],
  limitMs = LIMIT_MS,
): Promise<readonly Finding[]> {
  const findings = await Promise.all(checks.map((check) => runCheck(check, limitMs)))
  return findings.flat()
}

async function runCheck(
  { name, run, remedy }: Check,
  limitMs: number,
): Promise<readonly Finding[]> {
  const stop = new AbortController()
  const late = () => new Error(`no answer within ${limitMs / 1000} s`)
  try {
    return await orLate(run(stop.signal), limitMs, late)
  } catch (error) {
    // Only now, so that the finding is the time limit and not the error of the aborted check.
    stop.abort(error)
    return [{ check: name, state: 'fault', found: sentence(error), remedy }]
  }
}

/** A finding with the worst state of several complaints; `ok` without any. */
export function judged(
  check: string,
  complaints: readonly Complaint[],
  otherwise: string,
): Finding {
  if (complaints.length === 0) return { check, state: 'ok', found: otherwise }
  const order: readonly State[] = ['fault', 'warning', 'unknown']
  const [state = 'fault'] = order.filter((each) => complaints.some((of) => of.state === each))
  const remedies = new Set(complaints.map(({ remedy }) => remedy))
  return {
    check,
    state,
    found: complaints.map(({ found }) => found).join('; '),
    remedy: [...remedies].join('; '),
  }
}

export interface Complaint {
  readonly state: Exclude<State, 'ok'>
  readonly found: string
  readonly remedy: string
}
