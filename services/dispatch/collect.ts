import type { EventSink } from '#shared/frame/events.ts'
import { newEvent } from '#shared/frame/events.ts'
import type { Metrics } from '#shared/frame/telemetry/metrics.ts'
import type { Cluster, Pod } from './cluster/cluster.ts'
import { endedAt, fateOf, timeOf } from './cluster/pod-spec.ts'
import type { Pods } from './cluster/pods.ts'

/** An ended pod is removed by whoever waits for it; after so long nobody will, ms: longer than any back-off. */
export const ENDED_MS = 30 * 60_000
/** A pod that should be gone for so long is on a node that will never say so, ms. */
export const STUCK_MS = 60_000

interface Garbage {
  readonly reason: string
  readonly force: boolean
}

/**
 * Removes what is left of pods that nobody waits for any more, and of those whose node has vanished; the latter also
 * from under somebody who waits, who then mints another. Each is an event.
 */
export async function collectOnce(
  {
    cluster,
    pods,
    events,
    route,
    metrics,
  }: {
    cluster: Cluster
    pods: Pods
    events: EventSink
    route: string
    metrics: Pick<Metrics, 'collected'>
  },
  now = Date.now(),
): Promise<number> {
  let collected = 0
  for (const pod of pods.all()) {
    const garbage = garbageIn(pod, now)
    const { name = '' } = pod.metadata ?? {}
    if (garbage === undefined) continue
    if (!garbage.force && pods.isAttended(name)) continue
    const isMine = await cluster.remove(pod, garbage)
    pods.forget(pod)
    if (!isMine) continue
    collected++
    metrics.collected.add(1, { step: 'dispatch' })
    await events.report({
      ...newEvent('dispatch', 1),
      ...{ verdict: 'collected', route, units: [name], ms: 0, sentence: garbage.reason },
    })
  }
  return collected
}

function garbageIn(pod: Pod, now: number): Garbage | undefined {
  const leaving = timeOf(pod.metadata?.deletionTimestamp)
  if (leaving !== undefined && now - leaving > STUCK_MS) {
    const seconds = Math.round((now - leaving) / 1000)
    return { reason: `its node is gone: it should have ended ${seconds} s ago`, force: true }
  }
  const fate = fateOf(pod)
  if (fate !== undefined && now - endedAt(pod) > ENDED_MS) {
    return { reason: `${fate.kind}, and nobody came for it: ${fate.reason}`, force: false }
  }
  return undefined
}
