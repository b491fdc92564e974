import { costMs } from '#shared/assets/plan.ts'
import type { Registry } from '#shared/assets/registry.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'

/** What a pod is given. */
export interface Needs {
  readonly cpus: number
  readonly memoryMiB: number
  /** For its copy of the master. */
  readonly diskMiB: number
  /** From its start until it is stopped. */
  readonly deadlineSeconds: number
}

/** Node, its threads and the samples at hand: of the process, and of each core more. */
const BASE_MIB = 640
const CORE_MIB = 320
/** What an asset may keep in memory per second of the track: as much as FLAC, parts and whole. */
const ASSET_MIB = 0.05
const DISK_MIB = 256
/** No track is taken to be shorter, seconds: how long it is has not been found out yet. */
const MIN_SECONDS = 600
/** Core-seconds that one more core is worth having for. */
const PER_CORE = 60
/** A node of four, as terraform/ makes them, has less than four to give: a pod that fits nowhere waits for ever. */
const MAX_CORES = 3
/** How much longer than planned all may take: a pod that is stopped costs more than one that is slow. */
const PATIENCE = 20
const MIN_DEADLINE_SECONDS = 900
/** A link that is slower is taken to be down, bytes a second; the master is read over it a few times. */
const SLOWEST_LINK = 125_000
/** A pod that ran out of memory is minted with twice as much, so often at most. */
const MAX_DOUBLINGS = 3

/** Bytes a second that a master has at least, by its name; of an upload nothing is known. */
const RATES = { flac: 50_000, mp3: 12_000, m4a: 12_000, aac: 12_000, ogg: 12_000, opus: 12_000 }
const PCM_RATE = 176_400

/** About how long a master is, seconds, and rather too long. */
export function guessedSeconds(name: string, bytes: number): number {
  const extension = name.slice(name.lastIndexOf('.') + 1).toLowerCase()
  const rate = (RATES as Readonly<Record<string, number>>)[extension]
  return bytes / (rate ?? PCM_RATE)
}

/**
 * What it takes to make these assets of a track of about so many seconds.
 * @param outOfMemory how often a pod of this track ran out of memory
 */
export function needsOf(
  assets: readonly string[],
  track: { readonly seconds: number; readonly bytes: number },
  registry: Registry,
  { factor, outOfMemory = 0 }: { factor: number; outOfMemory?: number },
): Needs {
  const seconds = Math.max(MIN_SECONDS, track.seconds)
  const coreMs = assets
    .flatMap((id) => registry.get(id) ?? [])
    .reduce((sum, asset) => sum + costMs(asset, seconds * SAMPLE_RATE), 0)
  const coreSeconds = (coreMs * factor) / 1000
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
