/**
 * Yields the results of `work` on each item, in the order of the items, with at most `width` under way. An item
 * is taken as soon as there is room. A result is yielded as soon as it and all results before it are there.
 */
export async function* pipelined<Item, Result>(
  items: AsyncIterable<Item>,
  work: (item: Item) => Promise<Result>,
  width: number,
): AsyncGenerator<Result, void, undefined> {
  const source = items[Symbol.asyncIterator]()
  const running: Promise<Result>[] = []
  let coming: Promise<IteratorResult<Item>> | undefined
  let isOver = false
  try {
    while (!isOver || running.length > 0) {
      if (!isOver && running.length < width) coming ??= source.next()
      const [first] = running
      const what = await Promise.race([
        ...(first === undefined ? [] : [first.then(() => 'result' as const)]),
        ...(coming === undefined ? [] : [coming.then(() => 'item' as const)]),
      ])
      if (what === 'result') {
        yield (await running.shift()) as Result
      } else {
        const next = await coming
        coming = undefined
        if (next === undefined || next.done) {
          isOver = true
        } else {
          const result = work(next.value)
          // A rejection must not be unhandled if the consumer has stopped.
          result.catch(() => {})
          running.push(result)
        }
      }
    }
  } finally {
    coming?.catch(() => {})
    // Not awaited: if the source hangs in its next item, `return` would hang too.
    if (!isOver) source.return?.().catch(() => {})
  }
}
