import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus } from '#shared/bus/bus.ts'
import type { Chain } from '../local/supervisor.ts'
import { type Random, seeded, shuffled } from './random.ts'
import type { Act, Kind } from './schedule.ts'
import type { Captured } from './witness.ts'

/** The time during which a process was stopped, ms since the epoch. */
export interface Stopped {
  readonly pid: number
  readonly from: number
  readonly to: number
}

/** What was done to a chain. */
export interface Disturbed {
  /** Number of disturbances of each kind. */
  readonly done: Readonly<Record<Kind, number>>
  /** Kills while a track was under way. */
  readonly atWork: number
  /** Number of processes that the kills have ended. */
  readonly killed: number
  /** Number of messages that were published once more. */
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
  /** Called after each kill with the number of kills so far. */
  readonly onKill: (kills: number) => void
  readonly signal: AbortSignal
}

/** How often to look for a victim, ms. */
const EVERY_MS = 20
/**
 * The most of the chain's seven processes that may be down when the next disturbance comes: with more of them nothing
 * can be learnt.
 */
const MAX_DOWN = 2
/** Copies of one message come within this time, ms. */
const COPIES_WITHIN_MS = 1_500

/** Carries out a schedule. All processes that it stopped are continued when it returns, and when it throws. */
export async function disturb(acts: readonly Act[], victim: Victim): Promise<Disturbed> {
  const { chain, signal } = victim
  const done = { kill: 0, term: 0, stop: 0, copies: 0 }
  const counts = { atWork: 0, killed: 0, copied: 0 }
  const stopped: Stopped[] = []
  const pending = new Set<Promise<unknown>>()
  const random = seeded(victim.seed + 1)
  const ending = new AbortController()

  /** Signals the first running process, or all. Waits until one is running: those that died are being restarted. */
  async function hit({ order, all }: Act, name: NodeJS.Signals): Promise<readonly number[]> {
    for (;;) {
      const pids = chain.pids()
      const running = order.flatMap((each) => pids[each] ?? [])
      const hits = (all ? running : running.slice(0, 1)).filter((pid) => signalled(pid, name))
      if (hits.length > 0) return hits
      await sleep(EVERY_MS, undefined, { signal })
    }
  }

  async function stop(act: Act): Promise<void> {
    const [pid = 0] = await hit(act, 'SIGSTOP')
    const from = Date.now()
    const goesOn = sleep(act.stopMs, undefined, { signal: ending.signal })
      .catch(() => {})
      .then(() => {
        signalled(pid, 'SIGCONT')
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

/** Randomly chosen messages, old and new, in any order, some of them twice. */
function chosen(random: Random, captured: readonly Captured[], count: number): Captured[] {
  const some = shuffled(random, captured).slice(0, count)
  return some.flatMap((message) => (random() < 0.5 ? [message, message] : [message]))
}

/** Publishes a message after `ms`. Retries while the server is down, as any client does. */
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

/** Sends a signal. @returns whether the process was there. */
function signalled(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}
