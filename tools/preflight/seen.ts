/** Observations of some checks that another check judges. */
export interface Seen {
  /** How far other clocks are ahead of ours, ms, and whose they are. */
  readonly clocks: { readonly of: string; readonly aheadMs: number }[]
  /** Locations of buckets, in lower case, by name. */
  readonly locations: Map<string, string>
}
