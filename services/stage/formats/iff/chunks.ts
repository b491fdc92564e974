import { cutShort, mergedWarnings, type Warning, warning } from '#shared/contracts/warnings.ts'
import { type ByteWindow, fourCc, unreadable } from '../byte-window.ts'
import type { Coded, PcmLayout } from '../layout.ts'
import type { SoundSize } from './sound.ts'

interface Chunk {
  readonly id: string
  /** Position of its contents, bytes. */
  readonly offset: number
  /** The size in the chunk's header, bytes. */
  readonly size: number
}

/** The format of samples in a header, before their number is known. */
export interface Format
  extends Pick<
    PcmLayout,
    'encoding' | 'bits' | 'lowBits' | 'unsigned' | 'bigEndian' | 'rate' | 'channels' | 'mask'
  > {
  /** Position of the description in the file, bytes. */
  readonly at: number
}

const LIMIT_CHUNKS = 1000
/** Chunks that follow samples, also in files that end within them. */
export const TRAILERS =
  /^(LIST|INFO|JUNK|junk|id3 |ID3 |fact|cue |smpl|inst|bext|iXML|axml|chna|PAD |PEAK|_PMX|acid|levl|DISP|afsp|umid|minf|elm1|regn|MARK|COMT|NAME|AUTH|ANNO|\(c\) |APPL|INST|MIDI|CHAN|FLLR)$/
/** The chunks that a reader needs. */
const NEEDED = /^(fmt |data|ds64|COMM|SSND|FVER)$/

/** The chunks of an IFF-like file, behind its first twelve bytes. The caller stops when it has what it needs. */
export async function* chunks(
  window: ByteWindow,
  littleEndian: boolean,
): AsyncGenerator<Chunk> {
  let at = 12
  for (let n = 0; at + 8 <= window.bytes; n++) {
    if (n === LIMIT_CHUNKS) {
      throw unreadable(at, `more than ${LIMIT_CHUNKS} chunks`, 'the samples before that')
    }
    const view = await window.view(at, 8, 'a chunk header')
    const chunk = {
      id: fourCc(view),
      offset: at + 8,
      size: view.getUint32(4, littleEndian),
    }
    yield chunk
    if (chunk.offset + chunk.size > window.bytes) {
      throw unreadable(
        at + 4,
        `the chunk "${chunk.id}" claims ${chunk.size} bytes`,
        `at most the ${window.bytes - chunk.offset} that follow`,
      )
    }
    at = chunk.offset + chunk.size + (chunk.size % 2)
    // Some writers leave out the padding byte behind a chunk of odd size.
    if (chunk.size % 2 === 1 && (await startsChunk(window, at - 1, littleEndian))) {
      const isKnown = await isKnownAt(window, at - 1)
      const isPadded = await startsChunk(window, at, littleEndian)
      // Behind the first letter of a name, its other letters and a size may look like a name, too.
      if (!isPadded || (isKnown && !(await isKnownAt(window, at)))) at -= 1
    }
  }
}

async function isKnownAt(window: ByteWindow, at: number): Promise<boolean> {
  const id = fourCc(await window.view(at, 4, 'a chunk header'))
  return NEEDED.test(id) || TRAILERS.test(id)
}

/** Whether a chunk may begin here: it needs a printable name, and a size that fits into the file. */
export async function startsChunk(
  window: ByteWindow,
  at: number,
  littleEndian: boolean,
): Promise<boolean> {
  if (at + 8 > window.bytes) return false
  const view = await window.view(at, 8, 'a chunk header')
  const id = fourCc(view)
  return (
    /^[A-Za-z0-9 ()._-]{4}$/.test(id) &&
    at + 8 + view.getUint32(4, littleEndian) <= window.bytes
  )
}

const WIDTHS = { int: [8, 16, 24, 32], float: [32, 64], alaw: [8], mulaw: [8] }

/**
 * The layout of uncompressed samples, with a warning if there are fewer than promised, and one for each
 * contradiction.
 * @throws PermanentError MASTER_UNREADABLE
 */
export function pcm(
  container: PcmLayout['container'],
  format: Format,
  offset: number,
  size: SoundSize,
  contradictions: readonly (string | undefined)[],
): PcmLayout {
  const { at, ...described } = format
  checkRateAndChannels(at, format.rate, format.channels)
  const widths = WIDTHS[format.encoding]
  if (!widths.includes(format.bits)) {
    throw unreadable(
      at,
      `${format.bits}-bit ${format.encoding} samples`,
      `${widths.join(', ')} bits`,
    )
  }
  const block = (format.bits / 8) * format.channels
  const samples = Math.floor(size.bytes / block)
  if (samples === 0) throw unreadable(offset, 'the master holds no samples', 'one or more')
  const warnings = soundWarnings(container, size, { block, rate: format.rate }, contradictions)
  return withWarnings({ kind: 'pcm', container, ...described, offset, samples }, warnings)
}

/**
 * Warnings about missing samples and contradictions. An incomplete last block is not a loss.
 * @param options.block size of a block, bytes; `rate` blocks make a second
 */
export function soundWarnings(
  container: string,
  { bytes, promised = bytes, leftOut }: SoundSize,
  { block, rate }: { readonly block: number; readonly rate: number },
  contradictions: readonly (string | undefined)[],
): readonly Warning[] {
  const [there, wanted] = [Math.floor(bytes / block), Math.floor(promised / block)]
  const short =
    wanted > there ? [cutShort(`the ${container}`, wanted / rate, there / rate)] : []
  const known = contradictions.filter((each) => each !== undefined)
  const more = leftOut === undefined ? [] : [warning('MORE_FOLLOWS', leftOut)]
  return mergedWarnings(
    short,
    more,
    known.map((each) => warning('HEADER_CONTRADICTS', each)),
  )
}

/** A header with its warnings, if there are any. */
export function withWarnings<H extends PcmLayout | Coded>(
  header: H,
  warnings: readonly Warning[],
): H {
  return warnings.length === 0 ? header : { ...header, warnings }
}

/**
 * Checks that music can have such a rate and so few channels.
 * @throws PermanentError MASTER_UNREADABLE
 */
export function checkRateAndChannels(at: number, rate: number, channels: number): void {
  if (!(rate >= 4000 && rate <= 768_000)) {
    throw unreadable(at, `a rate of ${rate} Hz`, '4000 to 768000 Hz')
  }
  if (channels < 1 || channels > 8) throw unreadable(at, `${channels} channels`, '1 to 8')
}
