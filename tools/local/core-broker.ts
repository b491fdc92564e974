import type { ChildProcess } from 'node:child_process'
import type { CoreAnswer, Cores, CoreWish } from '#shared/frame/cores.ts'

/**
 * Lends a child process cores on request: see `SharedCores`. Takes them back when it exits, and then calls `onCutOff`
 * for each core with the time since when it was lent, ms since the epoch.
 */
export function lendCores(
  cores: Cores,
  child: ChildProcess,
  onCutOff: (since: number) => void = () => {},
): void {
  type Wish = { stop: AbortController; lent?: { giveBack: () => void; since: number } }
  const wishes = new Map<number, Wish>()
  const end = (id: number) => {
    wishes.get(id)?.lent?.giveBack()
    wishes.get(id)?.stop.abort()
    wishes.delete(id)
  }
  child.on('message', async (message: CoreWish) => {
    const { core, id, ...claim } = message
    if (core === 'done') end(id)
    if (core !== 'take') return
    const stop = new AbortController()
    wishes.set(id, { stop })
    const giveBack = await cores.take(stop.signal, claim).catch(() => undefined)
    // The child may have exited or withdrawn the request meanwhile.
    if (giveBack === undefined || stop.signal.aborted) return giveBack?.()
    wishes.set(id, { stop, lent: { giveBack, since: Date.now() } })
    const answer: CoreAnswer = { lent: id }
    // A child that has just died accepts no answer; its exit gives the core back.
    child.send(answer, () => {})
  })
  child.once('exit', () => {
    for (const [id, { lent }] of [...wishes]) {
      if (lent !== undefined) onCutOff(lent.since)
      end(id)
    }
  })
}
