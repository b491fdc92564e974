import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { isNotFound, StoreError } from '#shared/contracts/errors/store.ts'
import { json } from '#shared/contracts/message.ts'
import type { ObjectName, Revision } from '#shared/contracts/names.ts'
import { shownUri } from '#shared/contracts/uploads.ts'
import { CsvReader } from '#shared/jobs/csv.ts'
import {
  headerOf,
  JOB_COLUMNS,
  jobOfRecord,
  textOf,
  type UncheckedJob,
} from '#shared/jobs/csv-jobs.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { type Batch, type Candidate, SourceError } from './source.ts'

/** The bytes that are read at once. */
const CHUNK_BYTES = 256 * 1024
/** The longest line, and the longest record of a CSV, bytes: as POST /v1/jobs takes it. */
const LONGEST_LINE = 64 * 1024
/** The most candidates of a batch. */
const MAX_BATCH = 2_000
const LF = 10

/** Where a manifest goes on. */
interface Cursor {
  readonly byte: number
  /** The lines before that. */
  readonly line: number
  /** Of a CSV. */
  readonly header?: readonly string[]
}

interface Manifest {
  readonly kind: 'manifest'
  readonly uri: string
  readonly revision?: string
  readonly bytes?: number
}

/**
 * The lines of a manifest from the cursor on: EncodeJobs one a line, or CSV with a header where its name ends with .csv.
 * It is read in ranges, always of the revision that it had at first.
 * @throws SourceError when there is none, when it has changed, or when its CSV cannot be read
 */
export async function* manifestBatches(
  source: Manifest,
  cursor: object | null,
  {
    locate,
    signal,
  }: {
    readonly locate: (uri: string) => { driver: StoreDriver; name: ObjectName }
    readonly signal: AbortSignal
  },
): AsyncGenerator<Batch> {
  try {
    const { driver, name } = locate(source.uri)
    const pinned = await pin(source, driver, name, signal)
    const { bytes, revision } = pinned
    const from = (cursor as Cursor | null) ?? { byte: 0, line: 0 }
    async function* chunks(): AsyncGenerator<Buffer> {
      for (let start = from.byte; start < bytes; start += CHUNK_BYTES) {
        const end = Math.min(bytes, start + CHUNK_BYTES)
        const options = { start, end, revision: revision as Revision, signal }
        const stream = await driver.read(name, options)
        yield Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>))
      }
    }
    const read = /\.csv$/i.test(source.uri) ? recordBatches : lineBatches
    for await (const { isEnd, ...batch } of read(chunks(), from, bytes)) {
      const enumerated = bytes === 0 ? 1 : (batch.cursor as Cursor).byte / bytes
      yield { ...batch, enumerated, isEnd, source: pinned }
    }
  } catch (error) {
    throw asSourceError(error, source.uri)
  }
}

async function pin(
  source: Manifest,
  driver: StoreDriver,
  name: ObjectName,
  signal: AbortSignal,
): Promise<Required<Manifest>> {
  const { revision, bytes } = source
  if (revision !== undefined && bytes !== undefined) return { ...source, revision, bytes }
  const found = await driver.stat(name, { signal })
  if (found !== undefined) return { ...source, revision: found.revision, bytes: found.bytes }
  throw new SourceError('MANIFEST_UNREADABLE', `there is no ${shownUri(source.uri)}`)
}

function asSourceError(error: unknown, uri: string): unknown {
  const shown = shownUri(uri)
  if (error instanceof StoreError && error.code === 'changed')
    return new SourceError('MANIFEST_CHANGED', `${shown} has changed`, { cause: error })
  if (isNotFound(error))
    return new SourceError('MANIFEST_CHANGED', `${shown} is gone`, { cause: error })
  const isWrong =
    error instanceof StoreError &&
    ['bad-name', 'out-of-bounds', 'not-regular'].includes(error.code)
  if (!isWrong) return error
  return new SourceError('MANIFEST_UNREADABLE', `${shown}: ${error.message}`, { cause: error })
}

type Read = Omit<Batch, 'enumerated' | 'source'>

async function* lineBatches(
  chunks: AsyncIterable<Buffer>,
  from: Cursor,
  bytes: number,
): AsyncGenerator<Read> {
  let { byte, line } = from
  let candidates: Candidate[] = []
  let first = line
  let held: Buffer[] = []
  let heldBytes = 0
  function ended(rest: Buffer): void {
    line++
    const isTooLong = heldBytes + rest.length > LONGEST_LINE
    const text = held.length === 0 ? rest : Buffer.concat([...held, rest])
    if (isTooLong || text.some((each) => each > 32))
      candidates.push(lineCandidate(line, text, isTooLong))
    held = []
    heldBytes = 0
  }
  function batch(isEnd: boolean): Read {
    const read = { candidates, lookedAt: line - first, cursor: { byte, line }, isEnd }
    candidates = []
    first = line
    return read
  }
  for await (const chunk of chunks) {
    let start = 0
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, start)) {
      byte += heldBytes + at + 1 - start
      ended(chunk.subarray(start, at))
      start = at + 1
      if (candidates.length >= MAX_BATCH) yield batch(false)
    }
    const rest = chunk.subarray(start)
    heldBytes += rest.length
    // Of what is too long its beginning is enough.
    if (heldBytes - rest.length <= LONGEST_LINE) held.push(rest)
    if (candidates.length > 0) yield batch(false)
  }
  if (heldBytes > 0) ended(Buffer.alloc(0))
  byte = bytes
  yield batch(true)
}

function lineCandidate(line: number, bytes: Buffer, isTooLong: boolean): Candidate {
  return {
    line,
    excerpt: () => bytes.subarray(0, 800).toString('utf8'),
    job() {
      if (isTooLong) throw wrong(`the line is longer than ${LONGEST_LINE} bytes`)
      // A byte order mark before the first line.
      const isMarked = line === 1 && bytes.subarray(0, 3).toString('latin1') === '\xef\xbb\xbf'
      const value = json(isMarked ? bytes.subarray(3) : bytes, 'the line')
      if (typeof value === 'object' && value !== null && !Array.isArray(value))
        return value as UncheckedJob
      throw wrong('expected an EncodeJob, a JSON object')
    },
  }
}

async function* recordBatches(
  chunks: AsyncIterable<Buffer>,
  from: Cursor,
  bytes: number,
): AsyncGenerator<Read> {
  const reader = new CsvReader(from.line + 1)
  let { header } = from
  let candidates: Candidate[] = []
  let [byte, line, first] = [from.byte, from.line, from.line]
  let isFirst = from.byte === 0
  const batch = (isEnd: boolean): Read => {
    const cursor = { byte, line, ...(header && { header }) }
    const read = { candidates, lookedAt: line - first, cursor, isEnd }
    candidates = []
    first = line
    return read
  }
  function take({
    line: at,
    cells,
    end,
  }: {
    line: number
    cells: readonly string[]
    end: number
  }) {
    const texts = cells.map((cell) => textOf(cell))
    if (header === undefined) header = headerIn(texts)
    else candidates.push(recordCandidate(at, header, texts))
    byte = from.byte + end
  }
  for await (const chunk of chunks) {
    const text = chunk.toString('latin1')
    // A byte order mark is read as spaces, which are cut off the name of a column, and keeps its length.
    for (const row of reader.push(isFirst ? text.replace(/^\xef\xbb\xbf/, '   ') : text)) {
      take(row)
      line = reader.begun - 1
      if (candidates.length >= MAX_BATCH) yield batch(false)
    }
    isFirst = false
    if (reader.held > LONGEST_LINE) {
      const why = `line ${reader.begun}: longer than ${LONGEST_LINE} bytes; a quote may never be closed`
      throw new SourceError('MANIFEST_UNREADABLE', why)
    }
    if (candidates.length > 0) yield batch(false)
  }
  try {
    // The line after the last line end, if there is one.
    line = reader.begun - 1
    for (const row of reader.end()) {
      take(row)
      line = reader.begun
    }
  } catch (error) {
    if (error instanceof SourceError) throw error
    throw new SourceError('MANIFEST_UNREADABLE', (error as Error).message)
  }
  byte = bytes
  yield batch(true)
}

function headerIn(cells: readonly (string | undefined)[]): readonly string[] {
  try {
    return headerOf(
      cells.map((cell) => cell ?? '\ufffd'),
      JOB_COLUMNS,
    )
  } catch (error) {
    throw new SourceError('MANIFEST_UNREADABLE', (error as Error).message)
  }
}

function recordCandidate(
  line: number,
  header: readonly string[],
  cells: readonly (string | undefined)[],
): Candidate {
  return {
    line,
    excerpt: () => cells.join(','),
    job() {
      const texts = cells.filter((cell) => cell !== undefined)
      if (texts.length < cells.length) throw wrong('the line is not UTF-8')
      if (cells.length === header.length) return jobOfRecord(header, texts)
      throw wrong(`the line has ${cells.length} cells, and the header ${header.length}`)
    },
  }
}

function wrong(words: string): PermanentError {
  return new PermanentError('NOT_AN_ENCODE_JOB', words)
}
