import type { Prices } from '#shared/contracts/prices.ts'
import { type AssetFigures, sharedCoreSeconds } from './figures.ts'
import { MEASURED } from './measured.ts'

/** The tracks and assets to make, and how. Shares are from 0 to 1. */
export interface Workload {
  readonly tracks: number
  /** Length of a track, s. The figures hold for tracks that fit one step: up to 600 s. */
  readonly seconds: number
  readonly assets: readonly AssetFigures[]
  /** How many times slower a core is than the one that was measured. */
  readonly coreSlowdown: number
  /** Share of the paid vCPU time that does work; the rest is headroom, starts and waiting. */
  readonly utilisation: number
  /** Share of the compute that is Spot. */
  readonly spot: number
  /** Share of the masters that are converted into scratch because they can't be read in place. */
  readonly staged: number
  /** How long scratch exists, minutes. */
  readonly scratchMinutes: number
  /** How long assets are kept, months. */
  readonly months: number
  /** Share of the assets' bytes that leave the cloud once. */
  readonly egress: number
}

export interface CostLine {
  readonly item: string
  readonly quantity: number
  readonly unit: string
  /** USD. */
  readonly cost: number
}

const GIB = 2 ** 30
const SECONDS_PER_HOUR = 3600
/** Minutes of a month as Google bills it: 730 hours. */
const MINUTES_PER_MONTH = 730 * 60
/** Bytes a second of 16-bit 44.1 kHz stereo. */
const PCM_BYTES_PER_SECOND = 176_400
/** The least size that Pub/Sub bills for a request, bytes. */
const MIN_REQUEST = 1000

/** The cost of a workload, line by line. */
export function costLines(workload: Workload, prices: Prices): readonly CostLine[] {
  const { tracks, spot, months, egress, staged, scratchMinutes, seconds } = workload
  const hours = vcpuHours(workload)
  const { classA, classB } = operationsOf(workload)
  const assetGib = (tracks * assetBytes(workload)) / GIB
  const scratchGib = (tracks * staged * seconds * PCM_BYTES_PER_SECOND) / GIB
  const scratchMonths = scratchMinutes / MINUTES_PER_MONTH
  const pubsubGib = (tracks * pubsubBytes(workload)) / GIB
  const billedTib = Math.max(0, pubsubGib - prices.pubsubFreeGib) / 1024
  const line = (item: string, quantity: number, unit: string, cost: number): CostLine => ({
    item,
    quantity,
    unit,
    cost,
  })
  const priced = (item: string, quantity: number, unit: string, price: number) =>
    line(item, quantity, unit, quantity * price)
  return [
    priced('compute, Spot', hours * spot, 'vCPU-hours', prices.spotVcpuHour),
    priced('compute, on demand', hours * (1 - spot), 'vCPU-hours', prices.vcpuHour),
    priced('storage operations, class A', tracks * classA, 'operations', prices.classA / 1000),
    priced('storage operations, class B', tracks * classB, 'operations', prices.classB / 1000),
    priced('assets kept', assetGib * months, 'GiB-months', prices.gibMonth),
    priced('scratch', scratchGib * scratchMonths, 'GiB-months', prices.gibMonth),
    line('Pub/Sub', pubsubGib, 'GiB', billedTib * prices.pubsubTib),
    priced('egress of results', assetGib * egress, 'GiB', prices.egressGib),
  ]
}

/** Core-seconds that one track takes, on the core that was measured. */
export function coreSeconds({
  seconds,
  assets,
  staged,
}: Pick<Workload, 'seconds' | 'assets' | 'staged'>): number {
  const { staging } = MEASURED
  const making = sum(assets.map((asset) => asset.coreSeconds(seconds)))
  return sharedCoreSeconds() + making + staged * (staging.fixed + staging.perSecond * seconds)
}

function vcpuHours(workload: Workload): number {
  const { tracks, coreSlowdown, utilisation } = workload
  return (tracks * coreSeconds(workload) * coreSlowdown) / utilisation / SECONDS_PER_HOUR
}

/** Cloud Storage requests of one track, by billing class. */
export function operationsOf({
  seconds,
  assets,
  staged,
}: Pick<Workload, 'seconds' | 'assets' | 'staged'>): { classA: number; classB: number } {
  const { operations: each } = MEASURED
  const files = sum(assets.map(({ files: count }) => count))
  // Each stage reads all samples once, a block at a time.
  const blocks = stagesOf(assets) * Math.ceil(seconds / each.blockSeconds)
  const parts = staged * Math.ceil(seconds / each.partSeconds)
  return {
    classA: each.fixedA + files + parts,
    classB: each.fixedB + assets.length * each.perAssetB + blocks,
  }
}

function stagesOf(assets: readonly AssetFigures[]): number {
  return new Set(assets.map(({ stage }) => stage)).size
}

/** Bytes of the assets of one track. */
export function assetBytes({ seconds, assets }: Pick<Workload, 'seconds' | 'assets'>): number {
  return sum(assets.map((asset) => asset.bytes(seconds)))
}

/** Billed bytes of the messages of one track: each is published and delivered once, in the worst case by itself. */
export function pubsubBytes({ assets }: Pick<Workload, 'assets'>): number {
  const { messages } = MEASURED
  const count = messages.fixed + stagesOf(assets) * messages.perStage
  return count * Math.max(MIN_REQUEST, messages.bytesEach) * 2
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, each) => all + each, 0)
}
