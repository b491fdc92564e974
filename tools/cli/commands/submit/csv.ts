/** One record of a CSV file, and the line that it begins in, from 1. */
interface CsvRow {
  readonly line: number
  readonly cells: readonly string[]
}

/**
 * The records of a CSV file (RFC 4180: quotes, doubled quotes and line breaks within quotes), each as soon as it is
 * complete. Empty lines are skipped. @throws Error when a quote is never closed.
 */
export async function* csvRows(text: AsyncIterable<string>): AsyncGenerator<CsvRow> {
  let [line, begun, cell] = [1, 1, '']
  let cells: string[] = []
  /** `seen`: a quote within quotes, which closes them unless another follows. */
  let quotes: 'none' | 'open' | 'seen' = 'none'
  const endCell = () => {
    cells.push(cell)
    cell = ''
  }
  const row = (): CsvRow | undefined => {
    endCell()
    const whole = cells
    cells = []
    return whole.length > 1 || whole[0] !== '' ? { line: begun, cells: whole } : undefined
  }
  for await (const chunk of text) {
    for (const character of chunk) {
      if (character === '\n') line++
      if (quotes === 'open') {
        if (character === '"') quotes = 'seen'
        else cell += character
        continue
      }
      if (character === '"' && (quotes === 'seen' || cell === '')) {
        if (quotes === 'seen') cell += character
        quotes = 'open'
        continue
      }
      quotes = 'none'
      if (character === ',') endCell()
      else if (character === '\n') {
        const whole = row()
        begun = line
        if (whole !== undefined) yield whole
      } else if (character !== '\r') cell += character
    }
  }
  if (quotes === 'open') throw new Error(`line ${begun}: a quote is opened and never closed`)
  const last = row()
  if (last !== undefined) yield last
}
