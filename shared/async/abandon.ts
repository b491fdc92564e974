/**
 * Ends an iteration early, so that a listing closes the folders that it holds. Does not wait for that, because a store
 * that does not answer would block the caller. Errors are ignored.
 */
export function abandon(listed: AsyncIterator<unknown>): void {
  listed.return?.().catch(() => {})
}
