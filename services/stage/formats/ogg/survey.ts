import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { type Warning, warning } from '#shared/contracts/warnings.ts'
import { type MasterBytes, unreadable } from '../byte-window.ts'
import type { ByteRange, Coded } from '../layout.ts'
import { masterAt } from '../looks-like.ts'
import { leastOf, type OggFormat, packetLengths } from './format.ts'
import { knownFormat, severalStreams } from './ogg.ts'
import { type OggPage, oggPages } from './pages.ts'
import { MODES_BYTES } from './vorbis-blocks.ts'

/** The findings about the pages of an Ogg file. */
export interface OggSurvey {
  /** Number of consecutive streams. */
  readonly streams: number
  readonly codec: OggFormat['codec'] | undefined
  /** Number of the first stream, from 1 on, that ends without its last page. */
  readonly cut: number | undefined
  /** Number of places where something is missing or wrong, and the time of the first of them, seconds. */
  readonly holes: number
  readonly firstHole: number
  /** Number of pages that are repeated or follow a later page, and the time of the first of them, seconds. */
  readonly misplaced: number
  readonly firstMisplaced: number
  /** Minimum length by the granule positions, including what is missing, seconds. */
  readonly seconds: number
  /** Number of packets in all streams, and their minimum length whatever the granule positions say, seconds. */
  readonly packets: number
  readonly leastSeconds: number
  /** Another master that begins behind the last page, and the number of bytes from there on. */
  readonly other:
    | { readonly name: string; readonly at: number; readonly bytes: number }
    | undefined
}

/**
 * Tolerance for granule positions, seconds. Programs that take packets out of other containers round them to
 * milliseconds.
 */
const TOLERANCE_SECONDS = 0.01
/**
 * A stream that misses more than this at its beginning, seconds, was recorded from its middle on. If it misses
 * less, that is a hole.
 */
const LATE_SECONDS = 10
/** Number of bytes behind the last page that are needed to recognize what follows. */
const HEAD_BYTES = 16
/** Tolerance for the length, seconds: resamplers round, and so do decoders at the beginning. */
const SHORT_SECONDS = 0.5

/**
 * Examines all pages of an Ogg file: their order, their checksums, and whether their granule positions leave
 * room for more than their packets hold. Takes 5 core-milliseconds per megabyte. Undefined when the file is not
 * Ogg. Source: RFC 3533.
 * @throws PermanentError MASTER_UNREADABLE when consecutive streams have different formats, or streams are
 * concurrent
 */
export async function oggSurvey(
  { container, feed }: Coded,
  file: MasterBytes,
  signal: AbortSignal,
): Promise<OggSurvey | undefined> {
  if (container !== 'Ogg') return undefined
  const ranges = feed.filter((piece): piece is ByteRange => !(piece instanceof Uint8Array))
  const [first, last] = [ranges[0], ranges.at(-1)]
  if (first === undefined || last === undefined) return undefined
  const [start, end] = [first.start, last.end]
  const found = {
    streams: 0,
    cut: undefined as number | undefined,
    holes: 0,
    firstHole: 0,
    misplaced: 0,
    firstMisplaced: 0,
    packets: 0,
    leastSeconds: 0,
  }
  let seconds = 0
  let format: OggFormat | undefined
  let stream: Stream | undefined
  let at = start
  const close = (last: Stream) => {
    if (last.hasHole) addHole(last.second())
    if (!last.isEnded) found.cut ??= found.streams
    seconds += last.second()
  }
  const addHole = (second: number) => {
    if (found.holes++ === 0) found.firstHole = seconds + second
  }
  for await (const page of oggPages(file.stream(start, end, signal))) {
    at = start + page.end
    if (page.begins && page.isSound && stream?.isAgain(page) !== true) {
      if (stream?.pages === 1) throw severalStreams(start + page.at)
      if (stream !== undefined) close(stream)
      const begun = knownFormat(Buffer.from(page.body), start + page.at)
      format ??= begun
      checkAlike(format, begun, start + page.at)
      stream = new Stream(begun, page)
      found.streams++
      checkJoined(found.streams, seconds, start + page.at)
      continue
    }
    if (format !== undefined) {
      const { packets, samples } = leastOf(format, page)
      found.packets += packets
      found.leastSeconds += samples / format.rate
    }
    if (stream?.isMisplaced(page) === true) {
      if (found.misplaced++ === 0) found.firstMisplaced = seconds + stream.second()
      continue
    }
    const hole = stream?.add(page)
    if (hole !== undefined) addHole(hole)
  }
  if (stream !== undefined) close(stream)
  const head = await file.read(at, Math.min(at + HEAD_BYTES, end), signal)
  const name = stream?.isEnded === true ? masterAt(Buffer.from(head), 0) : undefined
  const other = name === undefined ? undefined : { name, at, bytes: end - at }
  return { ...found, codec: format?.codec, seconds, other }
}

/** Maximum number of joined streams that are shorter than a second on average. More cannot be music. */
const MAX_SHORT_STREAMS = 1000

/**
 * Checks the number of very short joined streams. @throws PermanentError MASTER_UNREADABLE
 * @param at position of the last of them, bytes
 */
function checkJoined(streams: number, seconds: number, at: number): void {
  if (streams <= MAX_SHORT_STREAMS || seconds >= streams) return
  const each = (seconds / streams).toFixed(3)
  const wrong = `the Ogg is of more than ${MAX_SHORT_STREAMS} streams that were joined, of ${each} s each`
  throw unreadable(at, wrong, 'music, which is not cut so small')
}

/** Checks that consecutive streams have the same format. @throws PermanentError MASTER_UNREADABLE */
function checkAlike(first: OggFormat, other: OggFormat, at: number): void {
  const names = ['codec', 'rate', 'channels', 'bits'] as const
  if (names.every((name) => first[name] === other[name])) return
  const formatText = ({ codec, rate, channels, bits }: OggFormat) =>
    `${codec} of ${rate} Hz, ${channels} channel${channels === 1 ? '' : 's'}${bits === undefined ? '' : `, ${bits} bits`}`
  throw unreadable(
    at,
    `the Ogg changes from ${formatText(first)} to ${formatText(other)}`,
    'one format throughout',
  )
}

/** The state of a logical stream while its pages are read. */
class Stream {
  pages = 1
  /** Whether something is wrong and the music has not continued since. */
  hasHole = false
  isEnded = false
  readonly #format: OggFormat
  #headers: Uint8Array = new Uint8Array(0)
  #lengthOf: ((page: OggPage) => number) | undefined
  #serial: number
  /** The expected number of the next page. */
  #sequence: number
  /** The checksum of the page before. */
  #checksum: number
  /** Whether pages are missing before the first one with music. */
  #isLate = false
  /** Granule positions: where the music begins, and how far it has come; undefined before it begins. */
  #origin = 0
  #come: number | undefined

  constructor(format: OggFormat, { serial, sequence, checksum, ends }: OggPage) {
    this.#format = format
    this.#serial = serial
    this.#sequence = sequence + 1
    this.#checksum = checksum
    this.isEnded = ends
  }

  /** How far the music has come, seconds from its beginning. */
  second(): number {
    const { rate, skip } = this.#format
    return Math.max(0, (this.#come ?? this.#origin) - this.#origin - skip) / rate
  }

  /** Whether this is the first page of the stream once more, before any other. */
  isAgain({ serial, sequence, checksum }: OggPage): boolean {
    const isFirst = this.pages === 1 && sequence === this.#sequence - 1
    return isFirst && serial === this.#serial && checksum === this.#checksum
  }

  /** Whether a page is repeated or late. */
  isMisplaced({ serial, sequence, granule, checksum, isSound }: OggPage): boolean {
    if (!isSound || serial !== this.#serial || sequence >= this.#sequence) return false
    if (sequence === this.#sequence - 1 && checksum === this.#checksum) return true
    // Some writers do not number their pages.
    return granule !== undefined && granule > 0 && granule <= (this.#come ?? 0)
  }

  /** Takes the next page. If music continues behind a hole, returns the time of the hole, seconds. */
  add(page: OggPage): number | undefined {
    this.pages++
    // Whatever follows the end of the stream is ignored.
    if (!this.isEnded && !(page.isNext && page.isSound)) this.hasHole = true
    if (!page.isSound) {
      if (page.serial === this.#serial) this.isEnded ||= page.ends
      return undefined
    }
    if (page.serial !== this.#serial) {
      // A stream whose first page is lost.
      this.hasHole = true
      this.#serial = page.serial
      this.#sequence = page.sequence
    }
    this.isEnded = page.ends
    const isGap = page.sequence > this.#sequence
    this.#sequence = page.sequence + 1
    this.#checksum = page.checksum
    const hole = this.second()
    if (!this.#goOn(page, isGap) || !this.hasHole) return undefined
    this.hasHole = false
    return hole
  }

  /** Whether a packet of music ends on the page. */
  #goOn(page: OggPage, isGap: boolean): boolean {
    const { granule } = page
    if (this.#come === undefined) {
      if (isGap) this.#isLate = true
      if (!granule) {
        this.#headers = Buffer.concat([this.#headers, page.body]).subarray(-MODES_BYTES)
        return false
      }
      const missing = granule - this.#holds(page)
      if (missing > 0) {
        this.#origin = granule
        if (this.#isLate && missing < LATE_SECONDS * this.#format.rate) this.hasHole = true
      }
      this.#come = granule
      return true
    }
    const holds = this.#holds(page)
    if (isGap) this.hasHole = true
    if (granule === undefined) return false
    if (granule > this.#come + holds) this.hasHole = true
    this.#come = Math.max(this.#come, granule)
    return true
  }

  /** Maximum number of samples that end on a page, with the tolerance. */
  #holds(page: OggPage): number {
    this.#lengthOf ??= packetLengths(this.#format, this.#headers)
    return this.#lengthOf(page) + TOLERANCE_SECONDS * this.#format.rate
  }
}

/** The warnings about an Ogg file that was decoded to `samples` samples at 44.1 kHz. */
export function oggWarnings(
  survey: OggSurvey | undefined,
  samples: number,
): readonly Warning[] {
  if (survey === undefined) return []
  const { streams, codec, cut, holes, firstHole, misplaced, firstMisplaced, seconds, other } =
    survey
  const warnings: Warning[] = []
  if (other !== undefined) {
    const sentence = `behind the last page of the Ogg, at byte ${other.at}, another file begins (${other.name}), and ${other.bytes} bytes were left out`
    warnings.push(warning('MORE_FOLLOWS', sentence))
  }
  const present_seconds = Math.round((samples / SAMPLE_RATE) * 1000) / 1000
  if (cut !== undefined) {
    const which = streams === 1 ? '' : `, stream ${cut} of the ${streams} in it`
    const sentence = `the Ogg is cut short${which}: it ends without its last page; ${present_seconds} s are there`
    warnings.push({ code: 'CUT_SHORT', sentence, present_seconds })
  }
  // The decoder goes on with what it knows of the stream before, where it should begin anew.
  if (codec === 'Opus' && streams > 1) {
    const sentence = `the Ogg is of ${streams} streams of Opus that were joined: where one follows another, the first tenth of a second is not as it was encoded`
    warnings.push(warning('DAMAGED', sentence))
  }
  const places = holes + misplaced
  if (places > 0) {
    const second = Math.min(
      ...(holes > 0 ? [firstHole] : []),
      ...(misplaced > 0 ? [firstMisplaced] : []),
    )
    const where = `at ${second.toFixed(1)} s${places === 1 ? '' : `, and in ${places - 1} other ${places === 2 ? 'place' : 'places'}`}`
    const what = [
      ...(holes > 0 ? ['are missing, or wrong by their checksum, and were left out'] : []),
      ...(misplaced > 0 ? ['come twice, or out of turn'] : []),
    ].join('; others ')
    warnings.push(warning('DAMAGED', `the Ogg is damaged ${where}: pages of it ${what}`))
  }
  if (warnings.length === 0 && present_seconds < seconds - SHORT_SECONDS) {
    const sentence = `of the ${seconds.toFixed(3)} s that the Ogg counts ${present_seconds.toFixed(3)} s can be decoded`
    warnings.push(warning('DAMAGED', sentence))
  }
  return warnings
}
