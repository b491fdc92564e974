/** One record of a CSV file. */
export interface CsvRow {
  /** The line that it begins in, from 1. */
  readonly line: number
  readonly cells: readonly string[]
  /** The number of characters that have been read up to its end, its line end included. */
  readonly end: number
}

/**
 * Reads the records of a CSV file (RFC 4180: quotes, doubled quotes and line breaks within quotes), each as soon as it is
 * complete. Empty lines are skipped.
 */
export class CsvReader {
  #line: number
  #begun: number
  #read = 0
  #cell = ''
  #cells: string[] = []
  /** `seen`: a quote within quotes, which closes them unless another follows. */
  #quotes: 'none' | 'open' | 'seen' = 'none'
  #held = 0

  /** @param line the number of the first line */
  constructor(line = 1) {
    this.#line = line
    this.#begun = line
  }

  /** The characters of the record that is not complete. */
  get held(): number {
    return this.#held
  }

  /** The line that the record begins in that is not complete. */
  get begun(): number {
    return this.#begun
  }

  *push(text: string): Generator<CsvRow> {
    for (const character of text) {
      this.#read += character.length
      this.#held++
      if (character === '\n') this.#line++
      if (this.#quotes === 'open') {
        if (character === '"') this.#quotes = 'seen'
        else this.#cell += character
        continue
      }
      if (character === '"' && (this.#quotes === 'seen' || this.#cell === '')) {
        if (this.#quotes === 'seen') this.#cell += character
        this.#quotes = 'open'
        continue
      }
      this.#quotes = 'none'
      if (character === ',') this.#endCell()
      else if (character === '\n') yield* this.#row()
      else if (character !== '\r') this.#cell += character
    }
  }

  /** The last record, which may have no line end. @throws Error when a quote is never closed */
  *end(): Generator<CsvRow> {
    if (this.#quotes === 'open')
      throw new Error(`line ${this.#begun}: a quote is opened and never closed`)
    yield* this.#row()
  }

  #endCell(): void {
    this.#cells.push(this.#cell)
    this.#cell = ''
  }

  *#row(): Generator<CsvRow> {
    this.#endCell()
    const row = { line: this.#begun, cells: this.#cells, end: this.#read }
    this.#cells = []
    this.#begun = this.#line
    this.#held = 0
    if (row.cells.length > 1 || row.cells[0] !== '') yield row
  }
}
