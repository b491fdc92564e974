export interface BatchOptions {
  /** The most items of one batch. */
  readonly most: number
  /** How long the first item of a batch may wait for others, ms. */
  readonly gatherMs: number
}

/**
 * Turns calls with one item into calls with many: items that arrive while a batch is under way, or within
 * `gatherMs`, travel together. Each caller gets its own item's answer; a failed batch fails each caller.
 * `work` must answer one value for each item, in order.
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
