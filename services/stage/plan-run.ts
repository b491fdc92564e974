import type { Derivative } from '#shared/assets/definition.ts'
import { clearScratch, failedVerdict, findAsset, runEnded } from '#shared/assets/end-run.ts'
import { stepMessages } from '#shared/assets/make/unit-step.ts'
import type { MasterFacts } from '#shared/assets/master-facts.ts'
import { planSteps, unitName } from '#shared/assets/plan.ts'
import type { Registry } from '#shared/assets/registry.ts'
import type { TrackNames } from '#shared/contracts/file-names.ts'
import {
  type Envelope,
  envelopeOf,
  type Master,
  type PcmPlace,
  type StepDue,
  type Verdicts,
} from '#shared/contracts/messages/run.ts'
import { digest, type JobId, type ScratchPlace } from '#shared/contracts/names.ts'
import { nextStage, perMakingStage } from '#shared/contracts/stages.ts'
import { mergedWarnings, refuseWarnings, type Warning } from '#shared/contracts/warnings.ts'
import type { Config } from '#shared/frame/settings.ts'
import type { Next, StepContext } from '#shared/frame/step.ts'
import { factsOf } from './facts.ts'
import type { FoundMaster } from './find-master.ts'
import type { Layout } from './formats/layout.ts'
import { reportedNoNumbers, reportedWarnings } from './found.ts'
import { mayHaveNone, noNumberWarnings } from './resample/no-numbers.ts'

export interface PlanDeps {
  readonly registry: Registry
  readonly config: Pick<Config, 'target_ms' | 'routes' | 'max_hours' | 'strict'>
}

/** A run whose master has been found and whose header has been read. */
export interface FoundRun {
  readonly message: Envelope
  readonly found: FoundMaster
  readonly layout: Layout
  /** The title and the artist from the master, where the job gives none. */
  readonly names: TrackNames
  /** The digest of the plan. */
  readonly plan: string
  readonly context: StepContext
}

export function placeOf({ message, plan }: Pick<FoundRun, 'message' | 'plan'>): ScratchPlace {
  const { route, job, run } = message
  return { route, job: job as JobId, run, plan }
}

/** The number of assets that are looked for at once: on a bucket each takes a request or two for each file. */
const LOOKED_AT_ONCE = 16

/** Finds which of the wanted assets exist, at the versions that are made today. */
export async function findExisting(
  { message, found, context }: Pick<FoundRun, 'message' | 'found' | 'context'>,
  { registry }: PlanDeps,
): Promise<{ existing: Verdicts; missing: Derivative[] }> {
  const { request } = message
  const wanted = request.derivative_assets.map((id) => {
    const asset = registry.get(id)
    if (asset === undefined) throw new Error(`${id} is newer than this worker: given back`)
    return asset
  })
  const existing: Verdicts = {}
  const missing: Derivative[] = []
  for (let at = 0; at < wanted.length; at += LOOKED_AT_ONCE) {
    const some = wanted.slice(at, at + LOOKED_AT_ONCE)
    const look = (asset: Derivative) =>
      findAsset(asset, request.asset_guid, found.revision, context)
    for (const [index, verdict] of (await Promise.all(some.map(look))).entries()) {
      const asset = some[index] as Derivative
      if (verdict === undefined) missing.push(asset)
      else existing[asset.id] = verdict
    }
  }
  return { existing, missing }
}

/**
 * The budget of the route: the target of a step, ms, and how many times slower than the reference its cores
 * are.
 */
export function budgetOf({ route }: Envelope, { config }: PlanDeps) {
  return { targetMs: config.target_ms, coreSlowdown: config.routes[route]?.core_slowdown ?? 1 }
}

/**
 * The digest that names the plan. It depends on what is wanted, not on what is missing. If a copy of the
 * message arrives when some assets have been made, it finds what the first one has put into scratch. Its steps
 * are some of the first one's, and share their markers.
 */
export function planDigest(
  message: Envelope,
  { revision }: FoundMaster,
  deps: PlanDeps,
): string {
  const wanted = message.request.derivative_assets
    .toSorted()
    .map((id) => [id, deps.registry.get(id)?.version])
  const { targetMs, coreSlowdown } = budgetOf(message, deps)
  return digest([revision, wanted, targetMs, coreSlowdown])
}

/** Whether a master with warnings is refused. */
export function isStrict({ request }: Envelope, { config }: PlanDeps): boolean {
  return config.strict || request.strict === true
}

/**
 * Whether nothing is left to do: all assets exist and, if the job is strict, all warnings about the master are
 * known.
 */
export function isAllThere(
  { message, layout }: Pick<FoundRun, 'message' | 'layout'>,
  missing: readonly Derivative[],
  deps: PlanDeps,
): boolean {
  return missing.length === 0 && (isInHeader(layout) || !isStrict(message, deps))
}

/** Whether the header alone shows everything that can be wrong with a master. */
function isInHeader(layout: Layout): boolean {
  return layout.kind === 'pcm' && !mayHaveNone(layout)
}

/** Ends a run whose assets all exist. Warnings that are not among the facts are in the catalogue already. */
export function skipRun(
  run: Pick<FoundRun, 'message' | 'found' | 'names'>,
  facts: MasterFacts,
  existing: Verdicts,
): Next {
  const { message } = run
  const { warnings } = facts
  const sends = [runEnded(message, masterOf(run, facts), existing)]
  return { sends, verdict: 'skipped', units: message.request.derivative_assets, warnings }
}

/**
 * Plans what is missing, once the samples can be read, and sends it to the first stage of the plan.
 * @throws PermanentError STRICT when the master has warnings and the job is strict
 */
export async function planRun(
  run: FoundRun,
  pcm: PcmPlace,
  { existing, missing }: Awaited<ReturnType<typeof findExisting>>,
  deps: PlanDeps,
): Promise<Next> {
  const { message, found, layout, plan, context } = run
  const warnings = mergedWarnings(layout.warnings, ...(await lateWarnings(run)))
  if (isStrict(message, deps)) refuseWarnings(warnings)
  const steps = planSteps(missing, pcm.samples, budgetOf(message, deps))
  const verdicts: Verdicts = { ...existing }
  for (const { asset, error } of steps.impossible) {
    verdicts[asset.id] = failedVerdict(asset.version, error, 'stage', context.delivery.attempt)
  }
  const facts = { ...factsOf(layout), samples: pcm.samples, warnings }
  const master = masterOf(run, facts)
  const due: StepDue = {
    ...envelopeOf(message),
    master,
    plan: {
      digest: plan,
      revision: found.revision,
      pcm,
      units: [...steps.units],
      steps: perMakingStage((stage) => steps.steps[stage].map((step) => [...step])),
    },
    step: 0,
    verdicts,
  }
  const first = nextStage(steps.steps)
  if (first !== undefined) {
    // The event lists the units by the names that the steps report, so that the progress of a job follows from
    // events alone.
    return {
      sends: stepMessages(due, first),
      verdict: 'done',
      units: steps.units.map(unitName),
      warnings,
    }
  }
  return {
    sends: [runEnded(message, master, verdicts)],
    afterwards: [() => clearScratch(placeOf(run), context, { hasTombstones: false })],
    verdict: missing.length === 0 ? 'skipped' : 'failed',
    units: missing.map(({ id, version }) => `${id}@${version}`),
    warnings,
  }
}

/** The warnings that were found during the conversion. */
async function lateWarnings(run: FoundRun): Promise<readonly (readonly Warning[])[]> {
  const { layout, context } = run
  if (mayHaveNone(layout)) {
    return [noNumberWarnings(layout, await reportedNoNumbers(placeOf(run), context))]
  }
  // Other uncompressed samples hide nothing: the header and the length of the file show all that can be wrong.
  if (layout.kind === 'pcm') return []
  return [...(await reportedWarnings(placeOf(run), context)).values()]
}

function masterOf(
  { found, names }: Pick<FoundRun, 'found' | 'names'>,
  { samples, layout, warnings }: MasterFacts,
): Master {
  const { uri, revision } = found
  const master = { uri, revision, samples, layout, ...names }
  return warnings.length === 0 ? master : { ...master, warnings: [...warnings] }
}
