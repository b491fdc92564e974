import { resolve } from 'node:path'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { CsvReader, type CsvRow } from '#shared/jobs/csv.ts'
import {
  headerOf,
  JOB_COLUMNS,
  jobOfRecord,
  textOf,
  type UncheckedJob,
} from '#shared/jobs/csv-jobs.ts'
import { UsageError } from '../../../terminal/usage.ts'

/** A job to submit, with the file to upload before, if any. */
export interface Wanted {
  readonly job: UncheckedJob
  readonly file?: string
  /** Where the job comes from, for messages: a path, or `list.csv:12`. */
  readonly from: string
}

/** A line that cannot be submitted. */
export interface Unreadable {
  readonly from: string
  readonly fault: string
}

const COLUMNS = [...JOB_COLUMNS, 'file']

/**
 * The jobs of a manifest, each as soon as its line has been read: EncodeJobs one a line (NDJSON), or CSV with a header.
 * Beside the properties of an EncodeJob a line may have `file`: a path, from the manifest's own folder, to upload.
 * @throws UsageError when the header of a CSV is wrong.
 */
export async function* manifestJobs(
  bytes: AsyncIterable<Uint8Array | string>,
  { name, folder }: { readonly name: string; readonly folder: string },
): AsyncGenerator<Wanted | Unreadable> {
  const { first, text } = await peeked(decoded(bytes))
  const rows = first === '{' ? lineJobs(text) : csvJobs(text, name)
  for await (const { line, job: given, fault } of rows) {
    const from = `${name}:${line}`
    if (given === undefined) {
      yield { from, fault }
      continue
    }
    const { file, ...job } = given
    if (file !== undefined && typeof file !== 'string') {
      yield { from, fault: 'file must be a path' }
    } else yield { job, from, ...(file === undefined ? {} : { file: resolve(folder, file) }) }
  }
}

type Row =
  | { readonly line: number; readonly job: UncheckedJob; readonly fault?: never }
  | { readonly line: number; readonly fault: string; readonly job?: never }

async function* lineJobs(text: AsyncIterable<string>): AsyncGenerator<Row> {
  let line = 0
  for await (const each of linesOf(text)) {
    line++
    if (each.trim() === '') continue
    const read = textOf(each)
    if (read === undefined) {
      yield { line, fault: NO_UTF8 }
      continue
    }
    try {
      const job: unknown = JSON.parse(read)
      if (typeof job === 'object' && job !== null && !Array.isArray(job)) {
        yield { line, job: job as UncheckedJob }
      } else yield { line, fault: 'expected an EncodeJob, a JSON object' }
    } catch (error) {
      yield { line, fault: `not JSON: ${sentence(error)}` }
    }
  }
}

async function* csvJobs(text: AsyncIterable<string>, name: string): AsyncGenerator<Row> {
  let header: readonly string[] | undefined
  for await (const { line, cells: bytes } of csvRows(text)) {
    const cells = bytes.flatMap((cell) => textOf(cell) ?? [])
    if (cells.length !== bytes.length) {
      if (header === undefined) throw new UsageError(`${name}: the header is ${NO_UTF8}.`)
      yield { line, fault: NO_UTF8 }
    } else if (header === undefined) header = checkedHeader(cells, name)
    else if (cells.length !== header.length) {
      yield { line, fault: `${cells.length} cells, and ${header.length} in the header` }
    } else yield { line, job: jobOfRecord(header, cells) }
  }
}

function checkedHeader(cells: readonly string[], name: string): readonly string[] {
  try {
    return headerOf(cells, COLUMNS)
  } catch (error) {
    throw new UsageError(`${name}: ${sentence(error)}`)
  }
}

/** The records of a CSV file, each as soon as it is complete. @throws Error when a quote is never closed */
async function* csvRows(text: AsyncIterable<string>): AsyncGenerator<CsvRow> {
  const reader = new CsvReader()
  for await (const chunk of text) yield* reader.push(chunk)
  yield* reader.end()
}

const NO_UTF8 = 'not UTF-8'

/**
 * The text with one character for each byte, without the byte order mark. Lines and cells are separated by ASCII, so
 * each cell is decoded by itself, and one that is not UTF-8 is reported instead of being sent as another text.
 */
async function* decoded(bytes: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  let isFirst = true
  for await (const chunk of bytes) {
    const text = Buffer.from(chunk as Uint8Array).toString('latin1')
    yield isFirst ? text.replace(/^\xef\xbb\xbf/, '') : text
    isFirst = false
  }
}

async function* linesOf(text: AsyncIterable<string>): AsyncGenerator<string> {
  let held = ''
  for await (const chunk of text) {
    const lines = (held + chunk).split('\n')
    held = lines.pop() ?? ''
    yield* lines
  }
  yield held
}

/** The first character that is no space, and the whole text. */
async function peeked(text: AsyncGenerator<string>) {
  let held = ''
  while (held.trim() === '') {
    const { value, done } = await text.next()
    if (done) break
    held += value
  }
  async function* whole() {
    yield held
    yield* text
  }
  return { first: held.trim()[0], text: whole() }
}
