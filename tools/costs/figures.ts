import type { Derivative } from '#shared/assets/definition.ts'
import { MEASURED } from './measured.ts'

/** The bytes of an asset whose definition does not state them. */
const DEFAULT_BYTES = 1000

/** What an asset takes, for a forecast. */
export interface AssetFigures {
  readonly id: string
  readonly stage: Derivative['stage']
  /** Number of its files. */
  readonly files: number
  /** Whether the figures were measured here. If not, they are those of its definition. */
  readonly isMeasured: boolean
  /** Core-seconds of making it of a track of this length, on the core that was measured. */
  coreSeconds(seconds: number): number
  /** Bytes of its files, for a track of this length. */
  bytes(seconds: number): number
}

/**
 * What each job takes besides its assets, core-seconds: messages, rows, logs, reading the samples. Jobs of one asset
 * each took that much more than one job of all of them.
 */
export function sharedCoreSeconds(): number {
  const { alone, together } = MEASURED.coreSeconds
  const apart = together.assets.reduce((sum, id) => sum + (alone[id] ?? 0), 0)
  return (apart - together.took) / (together.assets.length - 1)
}

/** The figures of an asset: as they were measured, or else as its definition states them. */
export function figuresOf({ id, stage, files, cost }: Derivative): AssetFigures {
  const common = { id, stage, files: Object.keys(files).length }
  const alone = MEASURED.coreSeconds.alone[id]
  const size = MEASURED.bytes[id]
  if (alone !== undefined && size !== undefined) {
    const { fixed = 0, perSecond = 0, mostSeconds = Number.MAX_VALUE } = size
    const each = (alone - sharedCoreSeconds()) / MEASURED.coreSeconds.seconds
    return {
      ...common,
      isMeasured: true,
      coreSeconds: (seconds) => each * seconds,
      bytes: (seconds) => fixed + perSecond * Math.min(seconds, mostSeconds),
    }
  }
  const { fixedMs, msPerSecond, mostMs = Number.MAX_VALUE } = cost
  const { fixedBytes = DEFAULT_BYTES, bytesPerSecond = 0 } = cost
  return {
    ...common,
    isMeasured: false,
    coreSeconds: (seconds) => Math.min(mostMs, fixedMs + msPerSecond * seconds) / 1000,
    bytes: (seconds) => fixedBytes + bytesPerSecond * seconds,
  }
}
