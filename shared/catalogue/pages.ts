/** The number of rows on a page for a requested `limit`: a whole number from 1 to 1,000. */
export function pageSize(limit: number): number {
  return Math.min(Math.max(Math.trunc(limit), 1), 1_000)
}

/** A page out of the `size` + 1 rows that were asked for, and its last row if another page follows. */
export function cutPage<Row>(
  found: readonly Row[],
  size: number,
): { readonly page: readonly Row[]; readonly last: Row | undefined } {
  const page = found.slice(0, size)
  return { page, last: found.length > size ? page.at(-1) : undefined }
}
