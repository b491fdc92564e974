import type { EventSink } from '#shared/frame/events.ts'
import { newEvent } from '#shared/frame/events.ts'
import type { Metrics } from '#shared/frame/telemetry/metrics.ts'
import type { Cluster, Pod } from './cluster/cluster.ts'
import { endedAt, fateOf, timeOf } from './cluster/pod-spec.ts'
import type { Pods } from './cluster/pods.ts'

/**
 * Age at which a pod that has ended is collected, ms. The delivery that waits for a pod removes it; this is
 * longer than any back-off, so after this time no delivery will come for it.
 */
export const ENDED_MS = 30 * 60_000
/** Time that a pod may take to disappear after its deletion, ms. After that, its node is taken to be gone. */
export const STUCK_MS = 60_000

interface Garbage {
  readonly reason: string
  readonly force: boolean
}

/**
 * Removes pods that have ended and that no delivery waits for, and pods whose node has vanished. A pod whose
 * node has vanished is also removed while a delivery waits for it; the delivery then mints another pod. Each
 * removal is reported as an event.
 * @returns the number of pods removed
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
      verdict: 'collected',
      route,
      units: [name],
      ms: 0,
      sentence: garbage.reason,
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
    return {
      reason: `${fate.kind}, and no dispatcher waits for it: ${fate.reason}`,
      force: false,
    }
  }
  return undefined
}
