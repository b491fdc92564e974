import { buffer } from 'node:stream/consumers'
import { PermanentError, type RestartError } from '../contracts/errors/chain.ts'
import { isDenied, isNotFound } from '../contracts/errors/store.ts'
import { laneOf } from '../contracts/lanes.ts'
import { json } from '../contracts/message.ts'
import { EncodeJob } from '../contracts/messages/encode-job.ts'
import {
  attributesOf,
  type Envelope,
  envelopeOf,
  type Master,
  RunEnded,
  type Verdict,
  type Verdicts,
} from '../contracts/messages/run.ts'
import {
  assetName,
  type ObjectName,
  type Revision,
  type ScratchPlace,
  scratchPrefix,
} from '../contracts/names.ts'
import { publishTopic } from '../contracts/topology.ts'
import { type Next, type Send, type StepContext, send } from '../frame/step.ts'
import type { StoreDriver } from '../store/driver/driver.ts'
import type { Derivative } from './definition.ts'
import type { Registry } from './registry.ts'

/** The maximum number of restarts of a run before it fails. */
export const MAX_RESTARTS = 5

/** The message that a run has ended, for the topic `publish` of its lane. */
export function runEnded(message: Envelope, master: Master | null, verdicts: Verdicts): Send {
  return send(
    publishTopic(laneOf(message)),
    RunEnded,
    { ...envelopeOf(message), master, verdicts },
    attributesOf(message),
  )
}

/** Fails a run as a whole: a failed verdict for every asset that has none yet. */
export function failRun(
  message: Envelope,
  error: PermanentError,
  {
    step,
    attempt,
    registry,
    master = null,
    verdicts = {},
  }: {
    step: string
    attempt: number
    registry: Registry
    master?: Master | null
    verdicts?: Verdicts
  },
): Next {
  const all: Verdicts = { ...verdicts }
  for (const id of message.request.derivative_assets) {
    all[id] ??= failedVerdict(registry.get(id)?.version ?? 1, error, step, attempt)
  }
  return {
    sends: [runEnded(message, master, all)],
    verdict: 'failed',
    code: error.code,
    sentence: error.message,
  }
}

/** The verdict on an asset that can never be made. */
export function failedVerdict(
  version: number,
  error: PermanentError,
  step: string,
  attempt: number,
): Verdict {
  const words = error.message.slice(0, 2000)
  return { state: 'failed', version, code: error.code, sentence: words, step, attempt }
}

/** Restarts a run: its job goes to ingest again, as the same run. After MAX_RESTARTS `otherwise` gets a verdict. */
export function restartRun(
  message: Envelope,
  error: RestartError,
  otherwise: (error: PermanentError) => Next | Promise<Next>,
): Next | Promise<Next> {
  // SUPERSEDED does not count: plans may meet newer workers for as long as a rollout takes.
  if (message.restarts >= MAX_RESTARTS && error.code !== 'SUPERSEDED') {
    const words = `begun anew ${message.restarts} times; the last time: ${error.message}`
    return otherwise(new PermanentError('TOO_MANY_RESTARTS', words, { cause: error }))
  }
  const again = send('ingest', EncodeJob, message.request, {
    run: String(message.run),
    restarts: String(message.restarts + 1),
    accepted: message.accepted,
  })
  return { sends: [again], verdict: 'restarted', code: error.code, sentence: error.message }
}

/**
 * Removes the objects of a plan from scratch. Tombstones stay until they are swept, because a late copy of a step must
 * not retry what has failed for good, on samples that are gone.
 */
export async function clearScratch(
  place: ScratchPlace,
  { scratch, collected }: Pick<StepContext, 'scratch' | 'collected'>,
  { hasTombstones }: { hasTombstones: boolean },
): Promise<void> {
  const prefix = scratchPrefix(place)
  for (const part of hasTombstones ? ['wav/', 'parts/'] : ['']) {
    try {
      await scratch.removeAll(`${prefix}${part}`)
    } catch (error) {
      // A retry does not mend that. Preflight reports it, and the bucket's lifecycle removes the objects.
      if (isDenied(error)) return
      throw error
    }
  }
  collected()
}

/**
 * Finds an asset in the store: the verdict `made` if all of its files exist, otherwise undefined. The result is read as
 * well if the asset has one.
 */
export async function findAsset(
  asset: Derivative,
  track: string,
  revision: Revision,
  { assets, signal }: Pick<StepContext, 'assets' | 'signal'>,
): Promise<Verdict | undefined> {
  const files: Record<string, number> = {}
  let result: unknown
  for (const [index, extension] of Object.keys(asset.files).entries()) {
    const name = assetName(track, revision, asset, extension)
    if (asset.result && index === 0) {
      const bytes = await readWhole(assets, name, signal)
      if (bytes === undefined) return undefined
      files[extension] = bytes.length
      result = json(bytes, name)
    } else {
      const stat = await assets.stat(name, { signal })
      if (stat === undefined) return undefined
      files[extension] = stat.bytes
    }
  }
  const made = { state: 'made', version: asset.version, files } as const
  return asset.result ? { ...made, result } : made
}

async function readWhole(
  store: StoreDriver,
  name: ObjectName,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  try {
    return await buffer(await store.read(name, { signal }))
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}
