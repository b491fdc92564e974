/** The bounds of a batch. */
export interface BatchOptions {
  /** The maximum number of items in one batch. */
  readonly most: number
  /** How long the first item of a batch waits for others, ms. */
  readonly gatherMs: number
}

/**
 * Turns calls with one item into calls with many. Items that arrive within `gatherMs`, or while a batch is running,
 * form the next batch. Each caller gets the answer for its own item; a failed batch rejects all of its callers. `work`
 * must return one value for each item, in order.
 */
export function batching<Item, Answer>(
  work: (items: readonly Item[]) => Promise<readonly Answer[]>,
  { most, gatherMs }: BatchOptions,
): (item: Item) => Promise<Answer> {
  interface Waiting {
    readonly item: Item
    readonly resolve: (answer: Answer) => void
    readonly reject: (error: unknown) => void
  }
  let waiting: Waiting[] = []
  let timer: NodeJS.Timeout | undefined
  let isBusy = false

  async function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    if (isBusy || waiting.length === 0) return
    isBusy = true
    const batch = waiting.slice(0, most)
    waiting = waiting.slice(most)
    try {
      const answers = await work(batch.map(({ item }) => item))
      for (const [index, { resolve }] of batch.entries()) resolve(answers[index] as Answer)
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      isBusy = false
      if (waiting.length > 0) void flush()
    }
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (waiting.length >= most) void flush()
      else timer ??= setTimeout(flush, gatherMs)
    })
}
