import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus } from '#shared/bus/bus.ts'
import type { Chain } from '../local/supervisor.ts'
import { type Random, seeded, shuffled } from './random.ts'
import type { Act, Kind } from './schedule.ts'
import type { Captured } from './witness.ts'

/** For how long a process was stopped, ms since the epoch. */
export interface Stopped {
  readonly pid: number
  readonly from: number
  readonly to: number
}

/** What was done to a chain. */
export interface Disturbed {
  /** How often each was done. */
  readonly done: Readonly<Record<Kind, number>>
  /** Kills while a track was under way. */
  readonly atWork: number
  /** Processes that the kills have ended. */
  readonly killed: number
  /** Messages that were published once more. */
  readonly copied: number
  readonly stopped: readonly Stopped[]
}

export interface Victim {
  readonly chain: Pick<Chain, 'pids' | 'down'>
  readonly bus: Bus
  readonly seed: number
  /** Messages that may be published again. */
  readonly captured: () => readonly Captured[]
  /** Whether any track is under way. */
  readonly isAtWork: () => boolean
  /** After each kill, with how many there have been. */
  readonly onKill: (kills: number) => void
  readonly signal: AbortSignal
}

/** How often to look for a victim, ms. */
const EVERY_MS = 20
/** Of a chain more of whose seven processes are down nothing can be learnt: what comes next waits. */
const MAX_DOWN = 2
/** Copies of one message come within this time, ms. */
const COPIES_WITHIN_MS = 1_500

/** Does to the chain what the schedule says. All that it stopped goes on when it returns, and when it throws. */
export async function disturb(acts: readonly Act[], victim: Victim): Promise<Disturbed> {
  const { chain, signal } = victim
  const done = { kill: 0, term: 0, stop: 0, copies: 0 }
  const counts = { atWork: 0, killed: 0, copied: 0 }
  const stopped: Stopped[] = []
  const pending = new Set<Promise<unknown>>()
  const random = seeded(victim.seed + 1)
  const ending = new AbortController()

  /** Signals the first that is running, or all. Waits for one: what is being started again comes back. */
  async function hit({ order, all }: Act, name: NodeJS.Signals): Promise<readonly number[]> {
    for (;;) {
      const pids = chain.pids()
      const running = order.flatMap((each) => pids[each] ?? [])
      const told = (all ? running : running.slice(0, 1)).filter((pid) => tell(pid, name))
      if (told.length > 0) return told
      await sleep(EVERY_MS, undefined, { signal })
    }
  }

  async function stop(act: Act): Promise<void> {
    const [pid = 0] = await hit(act, 'SIGSTOP')
    const from = Date.now()
    const goesOn = sleep(act.stopMs, undefined, { signal: ending.signal })
      .catch(() => {})
      .then(() => {
        tell(pid, 'SIGCONT')
        stopped.push({ pid, from, to: Date.now() })
      })
    track(goesOn)
  }

  function track(promise: Promise<unknown>): void {
    pending.add(promise)
    void promise.finally(() => pending.delete(promise))
  }

  async function perform(act: Act): Promise<void> {
    if (act.kind === 'term') await hit(act, 'SIGTERM')
    else if (act.kind === 'stop') await stop(act)
    else if (act.kind === 'copies') {
      for (const copy of chosen(random, victim.captured(), act.copies ?? 1)) {
        counts.copied++
        track(later(random() * COPIES_WITHIN_MS, copy, victim))
      }
    } else {
      const isAtWork = victim.isAtWork()
      counts.killed += (await hit(act, 'SIGKILL')).length
      if (isAtWork) counts.atWork++
    }
    done[act.kind]++
    if (act.kind === 'kill') victim.onKill(done.kill)
  }

  try {
    for (const act of acts) {
      while (chain.down().length > MAX_DOWN) await sleep(EVERY_MS, undefined, { signal })
      await sleep(act.afterMs, undefined, { signal })
      await perform(act)
    }
    await Promise.all(pending)
  } finally {
    ending.abort()
    await Promise.all(pending)
  }
  return { done, ...counts, stopped }
}

/** Any of the messages, old and new, in any order, some of them twice. */
function chosen(random: Random, captured: readonly Captured[], count: number): Captured[] {
  const some = shuffled(random, captured).slice(0, count)
  return some.flatMap((message) => (random() < 0.5 ? [message, message] : [message]))
}

/** A server that is away just then is tried again, as any client does. */
async function later(ms: number, { topic, ...message }: Captured, { bus, signal }: Victim) {
  await sleep(ms)
  while (!signal.aborted) {
    const isSent = await bus.publish(topic, message).then(
      () => true,
      () => false,
    )
    if (isSent) return
    await sleep(EVERY_MS)
  }
}

/** @returns whether the process was there to be told. */
function tell(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}
