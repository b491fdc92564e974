import { PermanentError } from '../contracts/errors/chain.ts'
import type { Unit } from '../contracts/messages/run.ts'
import { SAMPLE_RATE } from '../contracts/pcm-format.ts'
import { BUDGET_MS, type MakingStage, perMakingStage } from '../contracts/stages.ts'
import type { Derivative } from './definition.ts'

/**
 * The maximum cost of a part, as a share of that of a step. A worker that is killed loses only the part it was making,
 * and a step that is stopped on a busy machine has made the parts before.
 */
const PART_SHARE = 0.55

interface Steps {
  readonly units: readonly Unit[]
  /** The steps of the stage; each is a list of indexes of `units`. */
  readonly steps: Readonly<Record<MakingStage, readonly (readonly number[])[]>>
  /** The assets that cannot be made of this track. */
  readonly impossible: readonly { readonly asset: Derivative; readonly error: PermanentError }[]
}

/**
 * Plans the making of `assets` of a track of `samples` samples, in steps that each cost at most about `targetMs` on a
 * core that is `coreSlowdown` times slower than the reference. The same input always yields the same plan. An asset that
 * cannot be split may have a step of its own up to the budget; beyond that it is impossible.
 */
export function planSteps(
  assets: readonly Derivative[],
  samples: number,
  { targetMs, coreSlowdown }: { targetMs: number; coreSlowdown: number },
): Steps {
  const units: Unit[] = []
  const steps = perMakingStage<number[][]>(() => [])
  const impossible: Steps['impossible'][number][] = []
  const room = perMakingStage(() => 0)

  for (const asset of assets) {
    const whole = costMs(asset, samples) * coreSlowdown
    if (whole > targetMs && !('part' in asset) && whole > BUDGET_MS) {
      impossible.push({ asset, error: tooLong(asset, samples, whole) })
      continue
    }
    for (const [start, end] of ranges(asset, samples, targetMs / coreSlowdown)) {
      const ms = costMs(asset, end - start) * coreSlowdown
      const last = steps[asset.stage].at(-1)
      units.push({ asset: asset.id, version: asset.version, start, end })
      if (last !== undefined && ms <= room[asset.stage]) {
        last.push(units.length - 1)
        room[asset.stage] -= ms
      } else {
        steps[asset.stage].push([units.length - 1])
        room[asset.stage] = targetMs - ms
      }
    }
  }
  return { units, steps, impossible }
}

/** The cost of an asset over a number of samples on the reference core, core-milliseconds. */
export function costMs(asset: Derivative, samples: number): number {
  const { fixedMs, msPerSecond, mostMs = Number.POSITIVE_INFINITY } = asset.cost
  return Math.min(mostMs, fixedMs + (msPerSecond * samples) / SAMPLE_RATE)
}

/** Whether a unit is one of several parts of its asset, which have to be joined. */
export function isPart(unit: Unit, samples: number): boolean {
  return unit.start > 0 || unit.end < samples
}

/** The name of a unit in events, e.g. `aac-128@1 0-441000`. */
export function unitName({ asset, version, start, end }: Unit): string {
  return `${asset}@${version} ${start}-${end}`
}

function ranges(
  asset: Derivative,
  samples: number,
  targetMs: number,
): readonly (readonly [number, number])[] {
  if (!('part' in asset) || costMs(asset, samples) <= targetMs) return [[0, samples]]
  const { fixedMs, msPerSecond } = asset.cost
  const affordable = ((PART_SHARE * targetMs - fixedMs) / msPerSecond) * SAMPLE_RATE
  const cells = Math.ceil(samples / asset.grid)
  const most = Math.max(1, Math.floor(affordable / asset.grid))
  // Even parts: five cells in parts of two would leave a last part of one.
  const each = Math.ceil(cells / Math.ceil(cells / most)) * asset.grid
  return Array.from({ length: Math.ceil(samples / each) }, (_, i) => [
    i * each,
    Math.min(samples, (i + 1) * each),
  ])
}

function tooLong(asset: Derivative, samples: number, ms: number): PermanentError {
  const minutes = (samples / SAMPLE_RATE / 60).toFixed(1)
  return new PermanentError(
    'TOO_LONG_FOR_ASSET',
    `${asset.id} can only be made of a whole track; of ${minutes} min that takes ${(ms / 1000).toFixed(1)} s, and a step has ${BUDGET_MS / 1000} s`,
  )
}
