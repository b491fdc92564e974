import fc from 'fast-check'
import t from 'tap'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import type { ByteRanges } from '../../../services/stage/formats/byte-window.ts'
import { type Header, readHeader } from '../../../services/stage/formats/read-header.ts'
import { aiff, chunk, wav } from '../../support/audio.ts'

const RUNS = { numRuns: 1500 }
/** What reading a header may cost, bytes: the limit, and the windows around it. */
const MAX_READ = 9 << 20

/** What is said of a file; `undefined` for a verdict. Throws where the header is read outside of the file. */
async function headerOf(file: Buffer): Promise<Header | undefined> {
  let read = 0
  const ranges: ByteRanges = {
    bytes: file.length,
    async read(start, end) {
      if (!(start >= 0 && end <= file.length && start < end))
        throw new RangeError(`bytes ${start} to ${end} of ${file.length}`)
      read += end - start
      if (read > MAX_READ) throw new RangeError(`${read} bytes read`)
      return file.subarray(start, end)
    },
  }
  try {
    return await readHeader(ranges)
  } catch (error) {
    if (error instanceof PermanentError && error.code === 'MASTER_UNREADABLE') return undefined
    throw error
  }
}

/** Whether all that a header promises lies within its file. */
function isWithin(header: Header | undefined, file: Buffer): boolean {
  if (header === undefined) return true
  if (header.kind === 'flac') return header.offset < file.length
  if (header.kind === 'coded') {
    return header.feed.every((piece) => !('end' in piece) || piece.end <= file.length)
  }
  const { offset, samples, bits, channels, rate } = header
  const end = offset + samples * channels * (bits / 8)
  const isMusic = rate >= 4000 && rate <= 768_000 && channels >= 1 && channels <= 8
  return isMusic && samples >= 1 && offset >= 12 && end <= file.length
}

const u32 = (value: number, isBig: boolean) => {
  const bytes = Buffer.alloc(4)
  isBig ? bytes.writeUInt32BE(value) : bytes.writeUInt32LE(value)
  return bytes
}

/** Sizes that headers go wrong with, beside all others. */
const size = fc.oneof(
  fc.constantFrom(0, 1, 2, 16, 18, 40, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff),
  fc.nat({ max: 200 }),
  fc.nat({ max: 0xffffffff }),
)
/** What a chunk says of its length; mostly the truth. */
const claim = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: size },
)

/** Chunks that say what they should, so that some files have something to them. */
const one = [new Float64Array(1)]
const SOUND = [
  { id: 'fmt ', content: wav(one).subarray(20, 36) },
  { id: 'fmt ', content: wav(one, { mask: 4, bits: 24 }).subarray(20, 60) },
  { id: 'COMM', content: aiff(one).subarray(20, 38) },
  { id: 'COMM', content: aiff(one, { compression: 'sowt' }).subarray(20, 44) },
].map((piece) => ({ ...piece, claims: undefined }))

/** A body of up to 60 bytes whose every pair is small, or anything. */
const content = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  fc
    .array(fc.constantFrom(0, 1, 2, 3, 4, 6, 8, 16, 24, 32, 44_100, 0xfffe), { maxLength: 30 })
    .map((numbers) => new Uint8Array(Uint16Array.from(numbers).buffer)),
)

t.test(
  'chunks of any kind, order and size are a verdict or a layout within the file',
  async (t) => {
    const id = fc.constantFrom(
      ...['fmt ', 'data', 'ds64', 'LIST', 'COMM', 'SSND', 'FVER', 'junk', '\0\0\0\0'],
    )
    const any = fc.record({ id, content, claims: claim })
    const piece = fc.oneof(any, fc.constantFrom(...SOUND))
    const form = fc.constantFrom(
      ...(['RIFF/WAVE', 'RF64/WAVE', 'BW64/WAVE', 'FORM/AIFF', 'FORM/AIFC'] as const),
    )
    let layouts = 0
    await fc.assert(
      fc.asyncProperty(
        form,
        size,
        fc.array(piece, { maxLength: 8 }),
        async (form, outer, all) => {
          const [magic = '', kind = ''] = form.split('/')
          const isBig = magic === 'FORM'
          const pieces = all.map(({ id, content, claims = content.length }) =>
            Buffer.concat([Buffer.from(id, 'latin1'), u32(claims, isBig), content]),
          )
          const head = [Buffer.from(magic), u32(outer, isBig), Buffer.from(kind)]
          const file = Buffer.concat([...head, ...pieces])
          const header = await headerOf(file)
          if (header !== undefined) layouts++
          return isWithin(header, file)
        },
      ),
      RUNS,
    )
    t.ok(layouts > 5, `${layouts} layouts`)
  },
)

t.test(
  'bytes at random behind any magic are a verdict, or a layout within the file',
  async () => {
    const magic = fc.constantFrom(
      ...[
        '',
        'RIFF\0\0\0\0WAVE',
        'fLaC\0\0\0\x22',
        'OggS\0\x02',
        '\0\0\0\x20ftypM4A ',
        'ID3\x04\0\0\0\0\0\x10',
        '\xff\xfb\x90\x64',
        '\xff\xf1\x50\x80',
      ],
    )
    await fc.assert(
      fc.asyncProperty(magic, fc.uint8Array({ maxLength: 400 }), async (magic, bytes) => {
        const file = Buffer.concat([Buffer.from(magic, 'latin1'), bytes])
        return isWithin(await headerOf(file), file)
      }),
      RUNS,
    )
  },
)

t.test(
  'boxes of any kind, depth and size are a verdict, or a layout within the file',
  async () => {
    const type = fc.constantFrom(
      'moov',
      'trak',
      'mdia',
      'minf',
      'stbl',
      'stsd',
      'mdhd',
      'hdlr',
      'stco',
      'co64',
      'mdat',
      'free',
    )
    const { box } = fc.letrec<{ box: Buffer }>((tie) => ({
      box: fc
        .tuple(
          type,
          claim,
          fc.oneof(
            { maxDepth: 5 },
            content.map((bytes) => [Buffer.from(bytes)]),
            fc.array(tie('box'), { maxLength: 3 }),
          ),
        )
        .map(([type, claims, inner]) => {
          const body = Buffer.concat(inner as Buffer[])
          return Buffer.concat([u32(claims ?? body.length + 8, true), Buffer.from(type), body])
        }),
    }))
    const ftyp = Buffer.from('\0\0\0\x10ftypM4A \0\0\0\0', 'latin1')
    await fc.assert(
      fc.asyncProperty(fc.array(box, { maxLength: 4 }), async (boxes) => {
        const file = Buffer.concat([ftyp, ...boxes])
        return isWithin(await headerOf(file), file)
      }),
      RUNS,
    )
  },
)

t.test(
  'what is written is read again, whatever comes before and behind the samples',
  async (t) => {
    const format = fc.record({
      rate: fc.integer({ min: 4000, max: 768_000 }),
      channels: fc.integer({ min: 1, max: 8 }),
      samples: fc.integer({ min: 1, max: 300 }),
      kind: fc.constantFrom('8', '16', '24', '32', '32f', '64f'),
      container: fc.constantFrom('WAV', 'extensible', 'RF64', 'AIFF', 'AIFF-C'),
      before: fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 5 }),
      behind: fc.uint8Array({ maxLength: 50 }),
    })
    await fc.assert(
      fc.asyncProperty(
        format,
        async ({ rate, channels, samples, kind, container, before, behind }) => {
          const float = kind.endsWith('f')
          const bits = Number.parseInt(kind, 10)
          const music = Array.from({ length: channels }, () => new Float64Array(samples))
          const isApple = container.startsWith('AIFF')
          if (isApple && float && container === 'AIFF') return true
          const file = isApple
            ? aiff(music, {
                rate,
                bits,
                ...(container === 'AIFF' ? {} : { compression: float ? `fl${bits}` : 'NONE' }),
              })
            : wav(music, {
                ...{ rate, bits, float, rf64: container === 'RF64' },
                ...(container === 'extensible' ? { mask: 2 ** channels - 1 } : {}),
                before: before.map((bytes) => chunk('junk', bytes)),
              })
          const whole = isApple ? file : Buffer.concat([file, chunk('LIST', behind)])
          t.match(await headerOf(whole), {
            ...{ kind: 'pcm', rate, channels, samples, bits },
            container: container === 'extensible' ? 'WAV' : container,
            encoding: float ? 'float' : 'int',
            unsigned: bits === 8 && !isApple,
            bigEndian: isApple,
          })
          return t.passing()
        },
      ),
      { numRuns: 300 },
    )
  },
)
