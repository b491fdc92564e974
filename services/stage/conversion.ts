import type { Derivative } from '#shared/assets/definition.ts'
import { clearScratch, failRun } from '#shared/assets/end-run.ts'
import { fanIn } from '#shared/assets/make/fan-in.ts'
import { tombstoneFolder } from '#shared/assets/make/unit-work.ts'
import { planSteps } from '#shared/assets/plan.ts'
import { asChainError, PermanentError } from '#shared/contracts/errors/chain.ts'
import { laneOf } from '#shared/contracts/lanes.ts'
import {
  attributesOf,
  envelopeOf,
  type Staging,
  StagingDue,
} from '#shared/contracts/messages/run.ts'
import { stageTopic } from '#shared/contracts/topology.ts'
import { type Next, type Send, send } from '#shared/frame/step.ts'
import {
  clearConversion,
  type Failing,
  leaveStageTombstone,
  markerOf,
  markOf,
  missingRanges,
  partsThere,
  stagedBefore,
  throwStageTombstone,
  writerOf,
} from './conversion-scratch.ts'
import { factsOf } from './facts.ts'
import { hasMd5, md5Warnings } from './formats/flac/md5.ts'
import type { CodedLayout } from './formats/layout.ts'
import { masterBytes } from './formats/master-bytes.ts'
import { reportedWarnings, reportNoNumbers, reportWarnings } from './found.ts'
import { checkFlacLength, checkStreamLength, mostStreamLength } from './limits.ts'
import {
  budgetOf,
  type FoundRun,
  findExisting,
  isAllThere,
  type PlanDeps,
  placeOf,
  planRun,
  skipRun,
} from './plan-run.ts'
import { md5Cost, pacing, planRanges } from './resample/cost.ts'
import type { NoNumbers } from './resample/no-numbers.ts'
import { PART_SAMPLES } from './resample/part-writer.ts'
import { type SeekableLayout, stageRange } from './resample/range.ts'
import { type Staged, stageStream } from './resample/stream.ts'

type ConversionStep = Staging['work']
type RangeStep = Extract<ConversionStep, { kind: 'range' }>
type StreamStep = Extract<ConversionStep, { kind: 'stream' }>

/**
 * Begins to convert a master into WAV parts in scratch. If the conversion fits into one step, it is done at once;
 * otherwise it is fanned out into steps of its own.
 */
export async function beginConversion(run: FoundRun, deps: PlanDeps): Promise<Next> {
  const { layout } = run
  const staged = await stagedBefore(run)
  if (staged !== undefined) return planRun(run, staged, await findExisting(run, deps), deps)
  if (layout.kind === 'flac') checkFlacLength(layout)
  if (layout.kind === 'coded') {
    const { file, signal } = inputOf(run)
    await checkStreamLength(layout, mostOfStream(run, deps), file, signal)
    const work: StreamStep = { kind: 'stream', start: 0, partSamples: PART_SAMPLES }
    return clearingOnFailure(run, () => streamStep(run, work, deps))
  }
  const plan = planRanges(layout, budgetOf(run.message, deps))
  const steps = Math.ceil(plan.samples / plan.stepSamples)
  const works = Array.from(
    { length: steps },
    (_, step) => ({ kind: 'range', ...plan, step }) as const,
  )
  const [only] = works
  if (steps > 1 || only === undefined) return fanOut(run, works)
  return clearingOnFailure(run, () => rangeStep(run, only, deps))
}

/** Runs one of the steps into which a conversion was fanned out. */
export async function continueConversion(
  run: FoundRun,
  work: ConversionStep,
  deps: PlanDeps,
): Promise<Next> {
  await throwStageTombstone(run)
  const { scratch, signal } = run.context
  if ((await scratch.stat(markerOf(run), { signal })) !== undefined) {
    return { sends: [], verdict: 'skipped' }
  }
  const exists = await findExisting(run, deps)
  if (isAllThere(run, exists.missing, deps)) {
    // Another job has made everything meanwhile, or this is a copy of the message that arrives after the end.
    const next = skipRun(run, factsOf(run.layout), exists.existing)
    return { ...next, afterwards: [() => clearConversion(run)] }
  }
  if (work.kind === 'stream') return streamStep(run, work, deps)
  const { samples, partSamples } = work
  if (
    exists.missing.length > 0 &&
    (await partsThere(run)).size === 0 &&
    (await isDecided(run, exists.missing, samples, deps))
  ) {
    // The run has ended before, and a crash has lost the marker. What follows reads no samples and clears the
    // scratch again.
    return planRun(run, { kind: 'staged', samples, partSamples }, exists, deps)
  }
  return rangeStep(run, work, deps)
}

/** Whether each of the assets has failed for good or cannot be made at all, so that the samples are not needed. */
async function isDecided(
  run: FoundRun,
  missing: readonly Derivative[],
  samples: number,
  deps: PlanDeps,
): Promise<boolean> {
  const { scratch, signal } = run.context
  const { impossible } = planSteps(missing, samples, budgetOf(run.message, deps))
  for (const { id, version } of missing) {
    if (impossible.some(({ asset }) => asset.id === id)) continue
    const folder = tombstoneFolder(placeOf(run), { asset: id, version })
    if (!(await hasAny(scratch.list(folder, { signal })))) return false
  }
  return true
}

async function hasAny(items: AsyncIterable<unknown>): Promise<boolean> {
  for await (const _ of items) return true
  return false
}

/**
 * What follows when a step of a conversion fails for good: the whole run fails. A tombstone in scratch makes
 * its other steps fail with the same error.
 */
export async function failConversion(
  run: Failing,
  error: PermanentError,
  deps: PlanDeps,
): Promise<Next> {
  const { message, context } = run
  await leaveStageTombstone(run, error)
  const { attempt } = context.delivery
  const next = failRun(message, error, { step: 'stage', attempt, registry: deps.registry })
  const clearParts = () => clearScratch(placeOf(run), context, { hasTombstones: true })
  return { ...next, afterwards: [clearParts] }
}

function fanOut(run: FoundRun, works: readonly ConversionStep[]): Next {
  return { sends: works.map((work) => stagingMessage(run, work)), verdict: 'done', units: [] }
}

function stagingMessage({ message, found, plan }: FoundRun, work: ConversionStep): Send {
  const { uri, pin, revision } = found
  const staging = { digest: plan, uri, pin, revision, work }
  const topic = stageTopic('stage', message.route, laneOf(message))
  const body = { ...envelopeOf(message), staging }
  return send(topic, StagingDue, body, attributesOf(message))
}

async function rangeStep(run: FoundRun, work: RangeStep, deps: PlanDeps): Promise<Next> {
  const { samples, partSamples, stepSamples, step } = work
  const start = step * stepSamples
  const end = Math.min(samples, start + stepSamples)
  const onNoNumbers = (found: NoNumbers) => reportNoNumbers(placeOf(run), found, run.context)
  const { file, signal } = inputOf(run)
  const write = writerOf(run)
  if (step === 0) await compareMd5(run, deps)
  const there = await partsThere(run)
  let made = 0
  for (const [from, to] of missingRanges(there, { start, end, partSamples })) {
    await stageRange(run.layout as SeekableLayout, {
      file,
      start: from,
      end: to,
      partSamples,
      write,
      onNoNumbers,
      signal,
    })
    made++
  }
  const units = [`wav ${start}-${end}`]
  const verdict = made === 0 ? 'skipped' : 'done'
  const pcm = { kind: 'staged', samples, partSamples } as const
  if (stepSamples >= samples) {
    return planRun(run, pcm, await findExisting(run, deps), deps)
  }
  await throwStageTombstone(run)
  const following = await fanIn(
    {
      ...markOf(run, pcm),
      isMade: async () => {
        const all = await partsThere(run)
        return missingRanges(all, { start: 0, end: samples, partSamples }).length === 0
      },
      isOver: () => isOver(run, deps),
      clear: () => clearConversion(run),
      sendOn: async () => planRun(run, pcm, await findExisting(run, deps), deps),
    },
    run.context,
  )
  const { sends, afterwards = [] } = following
  if (sends.length > 0 || !(await isOver(run, deps)))
    return { sends, afterwards, verdict, units }
  return { sends, afterwards: [...afterwards, () => clearConversion(run)], verdict, units }
}

/**
 * Maximum cost of comparing the MD5 within the first step, core-milliseconds: some 20 minutes of 44.1 kHz
 * stereo.
 */
const MAX_MD5_MS = 3000

/**
 * Compares the MD5 of a FLAC before the parts are written. A redelivered step finds the parts, and with them
 * what was reported here.
 */
async function compareMd5(run: FoundRun, deps: PlanDeps): Promise<void> {
  const { layout, context } = run
  if (layout.kind !== 'flac' || !hasMd5(layout)) return
  if (md5Cost(layout) * budgetOf(run.message, deps).coreSlowdown > MAX_MD5_MS) return
  if ((await reportedWarnings(placeOf(run), context)).has('md5')) return
  const { file, signal } = inputOf(run)
  const found = await md5Warnings(layout, file, signal)
  if (found.length > 0) await reportWarnings(placeOf(run), 'md5', found, context)
}

async function streamStep(run: FoundRun, work: StreamStep, deps: PlanDeps): Promise<Next> {
  const { start, partSamples } = work
  const layout = run.layout as CodedLayout
  const { file, signal } = inputOf(run)
  const mostSamples = mostOfStream(run, deps)
  const there = await partsThere(run)
  // Skip the parts of an earlier delivery that ended before it could send the next step.
  let from = start
  while (there.get(from) === from + partSamples) from += partSamples
  const last = there.get(from)
  const known = (await reportedWarnings(placeOf(run), run.context)).has('stream')
  const staged: Staged =
    // Without the report it is unknown what was noticed on the way, so the end is decoded once more.
    last !== undefined && last < from + partSamples && known
      ? { end: last, isOver: true }
      : from > start
        ? { end: from, isOver: false }
        : await stageStream(layout, {
            file,
            start,
            partSamples,
            mostSamples,
            write: writerOf(run),
            signal,
            end: Math.min(start + partSamples, mostSamples),
            goesOn: pacing(start, budgetOf(run.message, deps).targetMs, run.context.spentMs),
          })
  const units = [`wav ${start}-${staged.end}`]
  if (!staged.isOver) {
    const next: StreamStep = { ...work, start: staged.end }
    return { sends: [stagingMessage(run, next)], verdict: 'done', units }
  }
  const pcm = { kind: 'staged', samples: staged.end, partSamples } as const
  if (staged.warnings !== undefined) {
    await reportWarnings(placeOf(run), 'stream', staged.warnings, run.context)
  }
  const { marker, body } = markOf(run, pcm)
  const next = await planRun(run, pcm, await findExisting(run, deps), deps)
  if (start === 0) return next
  const mark = () => run.context.write('scratch', marker, body, 'application/json')
  return { ...next, afterwards: [mark, ...(next.afterwards ?? [])] }
}

/** The maximum length of the master if it is a stream, samples. */
function mostOfStream({ layout, message }: FoundRun, deps: PlanDeps): number {
  const { coreSlowdown } = budgetOf(message, deps)
  return mostStreamLength(layout as CodedLayout, deps.config, coreSlowdown)
}

function inputOf({ found, context }: FoundRun) {
  const { driver, name, bytes, pin: revision } = found
  return { file: masterBytes(driver, name, { bytes, revision }), signal: context.signal }
}

async function isOver(run: FoundRun, deps: PlanDeps): Promise<boolean> {
  return isAllThere(run, (await findExisting(run, deps)).missing, deps)
}

/** Removes the samples from scratch if the run fails as a whole. */
async function clearingOnFailure(run: FoundRun, act: () => Promise<Next>): Promise<Next> {
  try {
    return await act()
  } catch (error) {
    if (asChainError(error) instanceof PermanentError) await clearConversion(run)
    throw error
  }
}
