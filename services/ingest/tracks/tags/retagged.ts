import { HttpError } from '#shared/contracts/errors/http.ts'

/**
 * A head with tags that takes the place of a file's first `replaces` bytes; or the number of bytes that are
 * needed to make it.
 */
export type Retagged =
  | { readonly head: Buffer; readonly replaces: number }
  | { readonly needs: number }

/** The error for a file whose structure does not allow tags. */
export function cannotTag(why: string): HttpError {
  return new HttpError('NOT_TAGGABLE', `The file takes no tags: ${why}.`)
}
