import { utf8 } from '../contracts/text.ts'

/** An EncodeJob as its author wrote it, unchecked. */
export type UncheckedJob = Readonly<Record<string, unknown>>

const NUMBERS = ['release_id', 'asset_id']
/** The properties of an EncodeJob that a column may have. */
export const JOB_COLUMNS: readonly string[] = [
  ...['asset_guid', 'master_uri', 'derivative_assets', 'title', 'artist', 'site', 'lane'],
  ...['strict', 'file_name', 'request_id', ...NUMBERS],
]

/** The columns of a header. @throws Error when one is unknown or there twice */
export function headerOf(
  cells: readonly string[],
  columns: readonly string[],
): readonly string[] {
  const header = cells.map((cell) => cell.trim())
  const odd = header.find((cell, at) => !columns.includes(cell) || header.indexOf(cell) !== at)
  if (odd === undefined) return header
  const why = columns.includes(odd) ? 'twice' : 'no such column'
  throw new Error(
    `the header has ${JSON.stringify(odd)}: ${why}. There are ${columns.join(', ')}.`,
  )
}

/** The job of a record. An empty cell counts as absent. */
export function jobOfRecord(header: readonly string[], cells: readonly string[]): UncheckedJob {
  const given = header
    .map((column, at) => [column, cells[at] ?? ''] as const)
    .filter(([, cell]) => cell !== '')
  return Object.fromEntries(given.map(([column, cell]) => [column, cellValue(column, cell)]))
}

/**
 * The text of a cell of a file that was read as one character for each byte: lines and cells are separated by ASCII, so
 * each is decoded by itself. Undefined when it is not UTF-8.
 */
export function textOf(bytes: string): string | undefined {
  try {
    return utf8(Buffer.from(bytes, 'latin1'))
  } catch {
    return undefined
  }
}

function cellValue(column: string, cell: string): unknown {
  if (column === 'derivative_assets') return cell.split(/[\s;,|]+/).filter((id) => id !== '')
  if (column === 'strict') return { true: true, false: false }[cell] ?? cell
  return NUMBERS.includes(column) && /^-?\d{1,15}$/.test(cell) ? Number(cell) : cell
}
