/** What checks come upon that another one judges. */
export interface Seen {
  /** By how much another clock is ahead of ours, ms, and whose it is. */
  readonly clocks: { readonly of: string; readonly aheadMs: number }[]
  /** Where buckets are, in lower case. */
  readonly locations: Map<string, string>
}
