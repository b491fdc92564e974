import { costMs } from '#shared/assets/plan.ts'
import type { Registry } from '#shared/assets/registry.ts'
import { masterBytesPerSecond } from '#shared/contracts/file-names.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'

/** The resources of a pod. */
export interface PodResources {
  readonly cpus: number
  readonly memoryMiB: number
  /** Ephemeral storage for the pod's copy of the master, MiB. */
  readonly diskMiB: number
  /** Time from the pod's start until Kubernetes stops it, seconds. */
  readonly deadlineSeconds: number
}

/** Memory of the process, MiB, and in addition for each core: Node, its threads and the samples in use. */
const BASE_MIB = 640
const CORE_MIB = 320
/**
 * Memory that an asset may need per second of the track, MiB. FLAC needs the most, for its parts and the whole
 * file.
 */
const ASSET_MIB = 0.05
const DISK_MIB = 256
/** Minimum length that is assumed for a track, seconds. The true length is not known yet. */
const MIN_SECONDS = 600
/** Core-seconds of work that justify one more core. */
const PER_CORE = 60
/**
 * A node of four cores, as terraform/ creates them, offers less than four to pods. A pod that fits on no node
 * waits for ever.
 */
const MAX_CORES = 3
/**
 * The deadline allows this many times the planned time. A pod that is stopped costs more than a pod that is
 * slow.
 */
const PATIENCE = 20
const MIN_DEADLINE_SECONDS = 900
/** Slowest link that counts as working, bytes per second. The master is read over it a few times. */
const SLOWEST_LINK = 125_000
/** Memory is doubled for each pod of the track that ran out of memory, at most this many times. */
const MAX_DOUBLINGS = 3

/** Estimates the length of a master, seconds. The estimate is too long rather than too short. */
export function estimateSeconds(name: string, bytes: number): number {
  return bytes / masterBytesPerSecond(name)
}

/**
 * The resources that a pod needs to make these assets.
 * @param track its estimated length in seconds and the size of its master in bytes
 * @param outOfMemory number of pods of this track that ran out of memory
 */
export function resourcesOf(
  assets: readonly string[],
  track: { readonly seconds: number; readonly bytes: number },
  registry: Registry,
  { coreSlowdown, outOfMemory = 0 }: { coreSlowdown: number; outOfMemory?: number },
): PodResources {
  const seconds = Math.max(MIN_SECONDS, track.seconds)
  const coreMs = assets
    .flatMap((id) => registry.get(id) ?? [])
    .reduce((sum, asset) => sum + costMs(asset, seconds * SAMPLE_RATE), 0)
  const coreSeconds = (coreMs * coreSlowdown) / 1000
  const cpus = Math.min(MAX_CORES, Math.max(1, Math.ceil(coreSeconds / PER_CORE)))
  const memory = BASE_MIB + cpus * CORE_MIB + assets.length * seconds * ASSET_MIB
  return {
    cpus,
    memoryMiB: Math.ceil(memory) * 2 ** Math.min(outOfMemory, MAX_DOUBLINGS),
    diskMiB: DISK_MIB + Math.ceil(track.bytes / (1 << 20)),
    deadlineSeconds: Math.ceil(
      MIN_DEADLINE_SECONDS + PATIENCE * coreSeconds + track.bytes / SLOWEST_LINK,
    ),
  }
}
