/** A figure that a benchmark has printed. */
interface Figure {
  /** The words around it, with `#` in the place of each number. */
  readonly what: string
  readonly value: number
}

/**
 * The figures in what a benchmark prints: every number of every line that has a colon, named by its line. Numbers before
 * the colon are part of the name.
 */
export function figuresOf(text: string): readonly Figure[] {
  return text.split('\n').flatMap((line) => {
    const [, title = '', rest = ''] = /^(.*?): (.*)$/.exec(line.trim()) ?? []
    if (title === '') return []
    const numbers = [...rest.matchAll(/(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?/g)]
    return numbers.map((found, index) => {
      const before = numbers[index - 1]
      const from = before === undefined ? 0 : before.index + before[0].length
      const behind = rest.slice(found.index + found[0].length)
      const unit = /^[^,;:]*/.exec(behind)?.[0] ?? ''
      const words = rest.slice(from, found.index).replace(/^[^,;]*[,;]/, '')
      const name = `${words.trim()} #${unit.trimEnd()}`.trim()
      return { what: `${title}: ${name}`, value: Number(found[0].replaceAll(',', '')) }
    })
  })
}

/** A figure before and after: the medians of all runs. */
interface Comparison {
  readonly what: string
  readonly before: number
  readonly after: number
  /** `after` divided by `before`. */
  readonly ratio: number
}

/** Compares the figures of several runs of two revisions. What only one of them prints is left out. */
export function compared(
  before: readonly string[],
  after: readonly string[],
): readonly Comparison[] {
  const [old, now] = [medians(before), medians(after)]
  return [...now].flatMap(([what, value]) => {
    const was = old.get(what)
    return was === undefined ? [] : [{ what, before: was, after: value, ratio: value / was }]
  })
}

function medians(texts: readonly string[]): Map<string, number> {
  const values = Map.groupBy(texts.flatMap(figuresOf), ({ what }) => what)
  return new Map(
    [...values].map(([what, figures]) => {
      const sorted = figures.map(({ value }) => value).sort((a, b) => a - b)
      return [what, sorted[sorted.length >> 1] as number]
    }),
  )
}
