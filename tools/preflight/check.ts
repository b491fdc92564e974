import { sentence } from '#shared/contracts/errors/chain.ts'

/** `not told`: it could not be found out, be it for want of a permission or because there is nothing to ask. */
type State = 'ok' | 'warning' | 'fault' | 'not told'

/** What one check came to. */
export interface Finding {
  /** What was looked at, e.g. `subscription stage`. */
  readonly check: string
  readonly state: State
  readonly found: string
  /** What to do about it; absent where there is nothing to do. */
  readonly remedy?: string
}

export interface Check {
  readonly name: string
  /** What it throws is a fault; so is an answer that takes longer than the limit. */
  run(signal: AbortSignal): Promise<readonly Finding[]>
  /** What to do when it throws or hangs. */
  readonly remedy: string
}

/** How long a check may take, ms: what hangs is at fault. */
export const LIMIT_MS = 10_000

/** Runs the checks side by side. Never throws, and answers after `limitMs` at the latest. */
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
  const { promise, reject } = Promise.withResolvers<never>()
  const late = new Error(`no answer within ${limitMs / 1000} s`)
  const timer = setTimeout(() => {
    // First, so that this is what is told, and not how the check takes it.
    reject(late)
    stop.abort(late)
  }, limitMs)
  try {
    return await Promise.race([run(stop.signal), promise])
  } catch (error) {
    return [{ check: name, state: 'fault', found: sentence(error), remedy }]
  } finally {
    clearTimeout(timer)
  }
}

/** The worst of several complaints, or that all is well. */
export function judged(
  check: string,
  complaints: readonly Complaint[],
  otherwise: string,
): Finding {
  if (complaints.length === 0) return { check, state: 'ok', found: otherwise }
  const order: readonly State[] = ['fault', 'warning', 'not told']
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
