import { PermanentError } from '#shared/contracts/errors/chain.ts'

/** A head with tags that takes the place of a file's first `replaces` bytes; or how many have to be seen to make it. */
export type Retagged =
  | { readonly head: Buffer; readonly replaces: number }
  | { readonly needs: number }

/** The file is not as those are that bear tags. */
export function cannotTag(why: string): PermanentError {
  return new PermanentError('NOT_TAGGABLE', `The file takes no tags: ${why}.`)
}
