import { describeLayout, isConformant, type Layout } from '#shared/audio/layout.ts'
import { readLayout } from '#shared/audio/riff.ts'
import { partName, readBytes } from '#shared/audio/source.ts'
import { stageMaster } from '#shared/audio/stage.ts'
import type { Config } from '#shared/config.ts'
import type { Derivative } from '#shared/derivative.ts'
import { RestartError, sentence } from '#shared/errors.ts'
import {
  type PcmPlace,
  RunAccepted,
  type StepDue,
  type Verdicts,
} from '#shared/messages/run.ts'
import { digest, type JobId, type Revision } from '#shared/names.ts'
import { planSteps } from '#shared/plan.ts'
import type { Registry } from '#shared/registry.ts'
import {
  clearScratch,
  ended,
  envelopeOf,
  failed,
  failedRun,
  lookUp,
  MOST_RESTARTS,
  restarted,
  subjectOf,
} from '#shared/run.ts'
import { defineStep, type Next, type Step, type StepContext } from '#shared/step.ts'
import { NotFoundError, type StoreDriver } from '#shared/store/driver.ts'
import { stepMessages } from '#shared/units/unit-step.ts'
import { type FoundMaster, findMaster, type Locate } from './master.ts'

export interface StageDeps {
  readonly registry: Registry
  readonly locate: Locate
  readonly uploads: StoreDriver
  readonly config: Pick<Config, 'master_wait' | 'target_ms' | 'routes'>
}

/**
 * The first step of a route: finds the master, fixes its revision, looks which assets exist, brings a master
 * that can't be read in place into scratch as WAV parts, and fixes the plan of the rest.
 */
export function stageStep({ registry, locate, uploads, config }: StageDeps): Step<RunAccepted> {
  const step: Step<RunAccepted> & Required<Pick<Step<RunAccepted>, 'fail'>> = {
    name: 'stage',
    input: RunAccepted,
    subject: subjectOf,

    async run(message, context) {
      const { accepted, masters, request, restarts } = message
      const { signal, delivery } = context
      // A master that is still being written, or a rollout, takes its time: back off a little more each time.
      if (delivery.attempt <= Math.min(restarts, MOST_RESTARTS)) {
        throw new Error(`begun anew ${restarts} times: waiting`)
      }
      const waitSeconds = config.master_wait
      const found = await findMaster(masters, {
        locate,
        uploads,
        accepted,
        waitSeconds,
        signal,
      })
      const { existing, missing } = await whatExists(message, found, context)
      const layout = await layoutOf(found, signal)
      if (missing.length === 0) {
        const samples = Math.max(1, samplesOf(layout))
        const sends = [ended(message, masterOf(found, layout, samples), existing)]
        return { sends, verdict: 'skipped', units: request.derivative_assets }
      }
      const plan = planDigest(message, found)
      const pcm = await pcmPlace({ ...message, plan }, found, layout, context)
      return planned(message, { found, layout, plan, pcm, existing, missing, context })
    },

    async fail(message, error, context) {
      const { attempt } = context.delivery
      return failedRun(message, error, { step: 'stage', attempt, registry })
    },

    async restart(message, error, context) {
      return restarted(message, error, (verdict) => step.fail(message, verdict, context))
    },
  }
  return defineStep(step)

  /** Which of the wanted assets are there under their names, at the version made today. */
  async function whatExists(
    { request }: RunAccepted,
    { revision }: FoundMaster,
    context: StepContext,
  ): Promise<{ existing: Verdicts; missing: Derivative[] }> {
    const existing: Verdicts = {}
    const missing: Derivative[] = []
    for (const id of request.derivative_assets) {
      const asset = registry.get(id)
      if (asset === undefined) throw new Error(`${id} is newer than this worker: given back`)
      const verdict = await lookUp(asset, request.asset_guid, revision, context)
      if (verdict === undefined) missing.push(asset)
      else existing[id] = verdict
    }
    return { existing, missing }
  }

  /**
   * Names the plan by what is wanted, not by what is missing: a copy of the message that comes when some of it has been
   * made finds what the first has put into scratch, and its steps, being some of the first one's, share its markers.
   */
  function planDigest({ route, request }: RunAccepted, { revision }: FoundMaster): string {
    const wanted = request.derivative_assets
      .toSorted()
      .map((id) => [id, registry.get(id)?.version])
    return digest([revision, wanted, config.target_ms, config.routes[route]?.factor ?? 1])
  }

  function planned(
    message: RunAccepted,
    run: {
      found: FoundMaster
      layout: Layout
      plan: string
      pcm: PcmPlace
      existing: Verdicts
      missing: readonly Derivative[]
      context: StepContext
    },
  ): Next {
    const { found, layout, plan, pcm, existing, missing, context } = run
    const factor = config.routes[message.route]?.factor ?? 1
    const steps = planSteps(missing, pcm.samples, { targetMs: config.target_ms, factor })
    const verdicts: Verdicts = { ...existing }
    for (const { asset, error } of steps.impossible) {
      verdicts[asset.id] = failed(asset.version, error, 'stage', context.delivery.attempt)
    }
    const master = masterOf(found, layout, pcm.samples)
    const due: StepDue = {
      ...envelopeOf(message),
      master,
      plan: {
        digest: plan,
        revision: found.revision,
        pcm,
        units: [...steps.units],
        analyze: steps.analyze.map((step) => [...step]),
        encode: steps.encode.map((step) => [...step]),
      },
      step: 0,
      verdicts,
    }
    const units = missing.map(({ id, version }) => `${id}@${version}`)
    const first = steps.analyze.length > 0 ? 'analyze' : 'encode'
    if (steps.units.length > 0)
      return { sends: stepMessages(due, first), verdict: 'done', units }
    const place = { route: message.route, job: message.job as JobId, run: message.run, plan }
    return {
      sends: [ended(message, master, verdicts)],
      afterwards: [() => clearScratch(place, context.scratch, { hasTombstones: false })],
      verdict: 'failed',
      units,
    }
  }
}

/** Where later steps read the samples: in the master itself, or in scratch, where this brings them. */
async function pcmPlace(
  { route, job, run, plan }: RunAccepted & { plan: string },
  found: FoundMaster,
  layout: Layout,
  context: StepContext,
): Promise<PcmPlace> {
  if (isConformant(layout)) {
    const { offset, bigEndian, samples } = layout
    return { kind: 'in-place', uri: found.uri, revision: found.pin, offset, bigEndian, samples }
  }
  const place = { route, job: job as JobId, run, plan }
  const staged = await stageMaster({
    layout,
    bytes: found.bytes,
    read: rangesOf(found, found.pin),
    signal: context.signal,
    async write(start, end, wav) {
      await context.write('scratch', partName(place, start, end), wav, 'audio/wav')
    },
  })
  return { kind: 'staged', ...staged }
}

/** Not pinned, which costs a second look: were it the header of other bytes, the reads of the samples would tell. */
function layoutOf(found: FoundMaster, signal: AbortSignal): Promise<Layout> {
  return readLayout({ bytes: found.bytes, read: rangesOf(found, undefined) }, signal)
}

/** Reads of the master, of the very bytes that `pin` stands for. */
function rangesOf({ driver, name }: FoundMaster, pin: Revision | undefined) {
  return async (start: number, end: number, signal?: AbortSignal): Promise<Uint8Array> => {
    try {
      return await readBytes(
        driver,
        name,
        start,
        end,
        pin === undefined ? { signal } : { revision: pin, signal },
      )
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error
      throw new RestartError('MASTER_CHANGED', `the master is gone: ${sentence(error)}`)
    }
  }
}

/** Length at 44.1 kHz, samples. */
function samplesOf({ samples, rate }: Layout): number {
  return Math.round((samples * 44_100) / rate)
}

function masterOf({ uri, revision }: FoundMaster, layout: Layout, samples: number) {
  return { uri, revision, samples, layout: describeLayout(layout) }
}
