import { setTimeout as sleep } from 'node:timers/promises'
import { failRun } from '#shared/assets/end-run.ts'
import type { Registry } from '#shared/assets/registry.ts'
import { backOff } from '#shared/async/retry.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { subjectOf, ToStage } from '#shared/contracts/messages/run.ts'
import { type JobId, type ObjectName, runPrefix } from '#shared/contracts/names.ts'
import { defineStep, type Next, type Step, type StepContext } from '#shared/frame/step.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import { type Cluster, ClusterError, type Pod } from './cluster/cluster.ts'
import { resourcesOf } from './cluster/pod-resources.ts'
import {
  type Fate,
  fateOf,
  isFor,
  isOf,
  type PodSettings,
  podFor,
  podName,
} from './cluster/pod-spec.ts'
import type { Pods } from './cluster/pods.ts'
import { retryCluster } from './cluster/retry-cluster.ts'

/**
 * Maximum number of pods of one message that may die of a cause of their own. After that the message is
 * dead-lettered, because the next pod would die as well.
 */
export const MAX_POD_FAILURES = 5
/** Number of lines of the pod's log that a dead letter quotes. */
const LAST_LINES = 10
/** How long the end of a removed pod is waited for, ms: twice what a pod may take to stop. */
const GONE_MS = 30_000
const LOOK_MS = 1000
/**
 * Back-off between two pods of one delivery, ms. Without it, a node that accepts no pods would be asked in a
 * tight loop.
 */
const PAUSE = { firstMs: 1000, mostMs: 60_000 }

interface DispatchDeps {
  readonly cluster: Cluster
  readonly pods: Pods
  readonly registry: Registry
  readonly settings: PodSettings
  /** How many times slower than the reference core the route's cores are. */
  readonly coreSlowdown: number
  /** Estimates the length of the track in seconds, and returns the size of its master in bytes. */
  readonly measure: (
    message: ToStage,
    signal: AbortSignal,
  ) => Promise<{ seconds: number; bytes: number }>
  readonly log: Log
}

/** One delivery, while the dispatcher waits for its pod. */
interface Watched {
  readonly message: ToStage
  readonly context: StepContext
  readonly deps: DispatchDeps
}

/**
 * Runs a track's whole run in a pod of its own: creates the pod unless it exists, waits for it to end and
 * removes it. The dispatcher keeps no state: after a redelivery, any dispatcher finds the pod by its name.
 */
export function dispatchStep(deps: DispatchDeps): Step<ToStage> {
  return defineStep<ToStage>({
    name: 'dispatch',
    input: ToStage,
    subject: subjectOf,
    cancellable: (message) => message,

    run(message, context) {
      const watched = { message, context, deps }
      return deps.pods.attending(podName(message), () => through(watched))
    },

    cancelled: (message, context) => removePod({ message, context, deps }),

    async fail(message, error, { delivery }) {
      const { attempt } = delivery
      return failRun(message, error, { step: 'dispatch', attempt, registry: deps.registry })
    },
  })
}

async function through(watched: Watched): Promise<Next> {
  const { message, context, deps } = watched
  const { pods, log } = deps
  const { signal, delivery } = context
  const name = podName(message)
  const pause = backOff(PAUSE)
  for (let minted = 0; ; ) {
    signal.throwIfAborted()
    const pod = pods.get(name)
    if (pod === undefined) {
      if (minted++ > 0) await pause.wait(signal).catch(() => signal.throwIfAborted())
      await mint(name, watched)
      continue
    }
    const fate = fateOf(pod)
    if (fate === undefined) {
      await pods.changed(name, signal)
      continue
    }
    const remove = () => bury(pod, watched)
    if (fate.kind === 'succeeded' && isFor(pod, delivery)) {
      return { sends: [], afterwards: [remove], verdict: 'done', units: [name] }
    }
    log.warn({ pod: name, ...fate }, `pod ${name}: ${fate.kind}`)
    await judge(pod, fate, watched)
    await remove()
    // A pod of an earlier attempt has had its back-off already, so the loop mints the next one at once.
    if (isOf(pod, delivery) && fate.kind !== 'lost')
      throw new Error(`pod ${name} ${fate.kind}: ${fate.reason}`)
  }
}

/** Removes the pod of a cancelled run, and waits until it is gone: until then it may write to scratch. */
async function removePod({ message, context, deps }: Watched): Promise<void> {
  const { cluster, pods, log } = deps
  const { signal } = context
  const name = podName(message)
  const read = () => retryCluster(() => cluster.read(name), { signal, log })
  const pod = pods.get(name) ?? (await read())
  if (pod === undefined) return
  await retryCluster(() => cluster.remove(pod), { signal, log })
  const until = performance.now() + GONE_MS
  while ((await read())?.metadata?.uid === pod.metadata?.uid && performance.now() < until)
    await sleep(LOOK_MS, undefined, { signal })
  pods.forget(pod)
}

async function mint(name: string, watched: Watched): Promise<void> {
  const { message, context, deps } = watched
  const { cluster, pods, registry, coreSlowdown, settings } = deps
  const { signal, delivery } = context
  const asking = { signal, log: deps.log }
  // On the first attempt there are no earlier failures, so the listing is skipped.
  const before = delivery.attempt > 1 ? await failures(watched) : []
  const outOfMemory = before.filter((failure) => failure.endsWith(OUT_OF_MEMORY)).length
  const { derivative_assets: assets } = message.request
  const track = await deps.measure(message, signal)
  const needs = resourcesOf(assets, track, registry, { coreSlowdown, outOfMemory })
  const pod = podFor(message, delivery, needs, settings)
  try {
    await pods.mint(name, signal, () => retryCluster(() => cluster.create(pod), asking))
  } catch (error) {
    if (!(error instanceof ClusterError && error.status === 409)) throw error
    const there = await retryCluster(() => cluster.read(name), asking)
    if (there !== undefined) pods.note(there)
  }
}

/**
 * Records the death of a pod.
 * @throws PermanentError POD_FAILED when too many pods of this message have died of a cause of their own
 */
async function judge(pod: Pod, { kind, reason }: Fate, watched: Watched): Promise<void> {
  if (kind !== 'failed' && kind !== 'out of memory') return
  const { context, deps } = watched
  const { uid, name = '' } = pod.metadata ?? {}
  const record = `${folderOf(watched)}${uid}.${kind === 'failed' ? 'failed' : OUT_OF_MEMORY}`
  // The record is named by the pod's uid, so that another dispatcher that sees this death does not count it
  // twice.
  await context.write('scratch', record as ObjectName, new Uint8Array(), 'text/plain')
  const { length } = await failures(watched)
  if (length < MAX_POD_FAILURES) return
  const said = await deps.cluster.lastLines(name, LAST_LINES).catch(sentence)
  await bury(pod, watched)
  const words = `${length} pods died; the last: ${reason}; it said: ${said.trim()}`
  throw new PermanentError('POD_FAILED', words)
}

const OUT_OF_MEMORY = 'memory'

/** The folder that records the deaths of a message's pods, the same for every delivery and every dispatcher. */
function folderOf({ message }: Watched): string {
  const prefix = runPrefix({ ...message, job: message.job as JobId })
  return `${prefix}pods/${podName(message)}/`
}

async function failures(watched: Watched): Promise<string[]> {
  const { scratch, signal } = watched.context
  const names: string[] = []
  for await (const { name } of scratch.list(folderOf(watched), { signal })) names.push(name)
  return names
}

async function bury(pod: Pod, { context, deps }: Watched): Promise<void> {
  const { cluster, pods, log } = deps
  await retryCluster(() => cluster.remove(pod), { signal: context.signal, log })
  pods.forget(pod)
}
