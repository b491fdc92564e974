/** The lanes, the most urgent first. A lane is its own topics, as a route is. */
export const LANES = ['urgent', 'new', 'backfill'] as const
export type Lane = (typeof LANES)[number]

/** The lane of a job that names none. Its topics carry no suffix, and its messages no `lane`. */
export const DEFAULT_LANE = 'new' satisfies Lane

/** The lane of a message: all messages of a run have its request. */
export function laneOf({
  request,
}: {
  readonly request: { readonly lane?: Lane | undefined }
}): Lane {
  return request.lane ?? DEFAULT_LANE
}
