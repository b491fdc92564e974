/**
 * List prices of Google Cloud in USD, for europe-west1 and us-central1, without free allowances but Pub/Sub's, as its
 * pages had them in 2025. Look up your own before you decide: docs/tasks/costs.md says where.
 */
export const PRICES = {
  /** An hour of a vCPU with 4 GiB: half an e2-standard-2. */
  vcpuHour: 0.0335,
  /** The same on Spot. That price changes; this is with the least discount that Google promises, 60 %. */
  spotVcpuHour: 0.0134,
  /** 1,000 operations of class A (insert, list) and B (get); deletions are free. */
  classA: 0.005,
  classB: 0.0004,
  /** A GiB of Standard storage for a month. */
  gibMonth: 0.02,
  /** A TiB published or delivered; the first GiB of a month are free. */
  pubsubTib: 40,
  pubsubFreeGib: 10,
  /** A GiB out of the cloud, first tier. Incoming traffic is free. */
  egressGib: 0.12,
}

export type Prices = { readonly [Name in keyof typeof PRICES]: number }

/**
 * Share of the vCPU time that is paid for which does work; the rest is headroom, nodes that start, and steps that were
 * interrupted.
 */
export const UTILISATION = 0.7

/** The cost of computing for that number of core-seconds in the cloud, on Spot, USD. */
export function computeUsd(coreSeconds: number, prices: Prices = PRICES): number {
  return (coreSeconds / UTILISATION / 3600) * prices.spotVcpuHour
}
