/**
 * Lets go of what is listed, so that it closes the folders that it holds: whoever asks for one item only does not come
 * to its end. Not waited for, because a store that is silent would keep its caller.
 */
export function abandon(listed: AsyncIterator<unknown>): void {
  listed.return?.().catch(() => {})
}
