const ENDED: readonly string[] = ['done', 'partial', 'failed', 'cancelled']

/** Whether nothing more happens to a job, or to a track's latest job, by itself. */
export function hasEnded({ state }: { readonly state: string }): boolean {
  return ENDED.includes(state)
}
