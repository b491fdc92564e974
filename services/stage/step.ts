import { failRun, MAX_RESTARTS, restartRun } from '#shared/assets/end-run.ts'
import { restartOnce } from '#shared/assets/make/step-marks.ts'
import type { Registry } from '#shared/assets/registry.ts'
import { type PermanentError, RestartError } from '#shared/contracts/errors/chain.ts'
import {
  type RunAccepted,
  type StagingDue,
  subjectOf,
  ToStage,
} from '#shared/contracts/messages/run.ts'
import { type JobId, type Revision, runPrefix, scratchPrefix } from '#shared/contracts/names.ts'
import { refuseWarnings } from '#shared/contracts/warnings.ts'
import type { Config } from '#shared/frame/settings.ts'
import { defineStep, type Next, type Step, type StepContext } from '#shared/frame/step.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { beginConversion, continueConversion, failConversion } from './conversion.ts'
import { factsOf, knownFacts } from './facts.ts'
import { type FoundMaster, findMaster, type Locate } from './find-master.ts'
import type { MasterBytes } from './formats/byte-window.ts'
import { inBlocks } from './formats/in-blocks.ts'
import { isConformant } from './formats/layout.ts'
import { masterBytes } from './formats/master-bytes.ts'
import { readHeader } from './formats/read-header.ts'
import { survey, surveyed } from './formats/survey.ts'
import { checkLimits, type MasterLimits } from './limits.ts'
import { masterNames } from './master-names.ts'
import {
  findExisting,
  isAllThere,
  isStrict,
  placeOf,
  planDigest,
  planRun,
  skipRun,
} from './plan-run.ts'

interface StageDeps {
  readonly registry: Registry
  readonly locate: Locate
  readonly uploads: StoreDriver
  readonly config: Pick<Config, 'master_wait_seconds' | 'target_ms' | 'routes' | 'strict'> &
    MasterLimits
}

/**
 * The first stage of a route. It finds the master, fixes its revision, finds which assets exist and plans the
 * rest of the run. If the samples cannot be read in place, it first converts the master into WAV parts in
 * scratch, by further steps of its own if one is not enough.
 */
export function stageStep(deps: StageDeps): Step<ToStage> {
  const { registry } = deps
  const step: Step<ToStage> & Required<Pick<Step<ToStage>, 'fail'>> = {
    name: 'stage',
    input: ToStage,
    subject: subjectOf,
    cancellable: (message) => message,

    async run(message, context) {
      if (!('staging' in message)) return begin(message, context, deps)
      return context.onCore(() => goOn(message, context, deps))
    },

    // A part of any sound master takes less than half of the hard limit.
    isStoppedOnce: true,
    stoppedCode: 'MASTER_OVER_BUDGET',

    stops(message) {
      const { restarts } = message
      if (!('staging' in message)) {
        const prefix = runPrefix({ ...message, job: message.job as JobId })
        return `${prefix}stopped/stage-${restarts}/`
      }
      const { digest: plan, work } = message.staging
      const step = work.kind === 'range' ? work.step : work.start
      return `${scratchPrefix(placeOf({ message, plan }))}stopped/stage-${step}-${restarts}/`
    },

    async fail(message, error, context) {
      if ('staging' in message) {
        return failConversion({ message, plan: message.staging.digest, context }, error, deps)
      }
      const { attempt } = context.delivery
      return failRun(message, error, { step: 'stage', attempt, registry })
    },

    async restart(message, error, context) {
      const otherwise = (verdict: PermanentError) => step.fail(message, verdict, context)
      if (!('staging' in message)) return restartRun(message, error, otherwise)
      const place = placeOf({ message, plan: message.staging.digest })
      return restartOnce(message, place, error, context, otherwise)
    },
  }
  return defineStep(step)
}

async function begin(
  message: RunAccepted,
  context: StepContext,
  deps: StageDeps,
): Promise<Next> {
  const { accepted, masters, restarts } = message
  const { signal, delivery } = context
  const { locate, uploads, config } = deps
  // A master that is still being written, or a rollout, takes time. Each restart backs off a little longer.
  if (delivery.attempt <= Math.min(restarts, MAX_RESTARTS)) {
    throw new Error(`begun anew ${restarts} times: waiting`)
  }
  const waitSeconds = config.master_wait_seconds
  const at = await findMaster(masters, { locate, uploads, accepted, waitSeconds, signal })
  const found = { ...at, driver: context.counted(at.driver) }
  const file = headerOf(found)
  const named = async () => masterNames(message.request, found.uri, file, signal)
  const exists = await findExisting({ message, found, context }, deps)
  if (exists.missing.length === 0) {
    const track = message.request.asset_guid
    const facts = await knownFacts({ track, found, file }, isStrict(message, deps), context)
    if (facts !== undefined) {
      if (isStrict(message, deps)) refuseWarnings(facts.warnings)
      return skipRun({ message, found, names: await named() }, facts, exists.existing)
    }
  }
  const header = await readHeader(file, signal)
  const planned = async () => {
    const layout = await surveyed(header, file, signal)
    checkLimits(layout, config)
    if (isStrict(message, deps)) refuseWarnings(layout.warnings ?? [])
    const names = await named()
    const plan = planDigest(message, found, deps)
    const run = { message, found, layout, names, plan, context }
    if (isAllThere(run, exists.missing, deps)) {
      return skipRun(run, factsOf(layout), exists.existing)
    }
    if (!isConformant(layout)) return beginConversion(run, deps)
    const { offset, bigEndian, samples } = layout
    const place = { uri: found.uri, revision: found.pin, offset, bigEndian, samples }
    return planRun(run, { kind: 'in-place', ...place }, exists, deps)
  }
  // All others are decoded or resampled, the first frames of compressed ones to learn what they are.
  return isConformant(header) ? planned() : context.onCore(planned)
}

async function goOn(message: StagingDue, context: StepContext, deps: StageDeps): Promise<Next> {
  const { uri, pin, revision, digest: plan, work } = message.staging
  const { signal } = context
  const { driver, name } = deps.locate(uri)
  const stat = await driver.stat(name, { signal })
  if (stat?.revision !== pin) {
    throw new RestartError('MASTER_CHANGED', `${uri} is gone, or not what it was`)
  }
  const found = {
    uri,
    driver: context.counted(driver),
    name,
    bytes: stat.bytes,
    pin: stat.revision,
    revision: revision as Revision,
  }
  const file = headerOf(found)
  const layout = await survey(file, signal)
  const names = await masterNames(message.request, found.uri, file, signal)
  return continueConversion({ message, found, layout, names, plan, context }, work, deps)
}

/**
 * Access to the header and to the samples that are examined, without a pin, which would cost a second request. If the
 * bytes changed meanwhile, the pinned reads of the samples fail.
 */
function headerOf({ driver, name, bytes }: FoundMaster): MasterBytes {
  return inBlocks(masterBytes(driver, name, { bytes }))
}
