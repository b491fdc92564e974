import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { PACKET_SAMPLES } from './adts.ts'

/** Number of samples that the decoder returns before the first sample of the track. */
const PRIMING_SAMPLES = 1024

/** The AudioSpecificConfig: AAC-LC, 44.1 kHz, stereo, explicitly without SBR (ISO/IEC 14496-3, 1.6.2.1). */
const AUDIO_SPECIFIC_CONFIG = Buffer.from('121056e500', 'hex')

/** Number of packets in a chunk, which a player reads at once: about half a second. */
const CHUNK_PACKETS = 22

/**
 * The part of an .m4a that comes before the packets. The packets have to follow without gaps.
 *
 * The time scale is the sample rate. The edit list removes the priming samples and gives the exact length;
 * iTunSMPB repeats both for players that read only that. Sources: ISO/IEC 14496-12 (boxes), 14496-14 (esds),
 * Apple QuickTime File Format (elst, roll, iTunSMPB).
 * @param sizes sizes of the packets, bytes
 * @param samples length of the track, samples, ≥ 1
 * @throws Error when the number of packets does not fit the length; RangeError beyond 4 GiB or 27 h
 */
export function m4aHead(sizes: Uint32Array, samples: number): Uint8Array {
  const last = PRIMING_SAMPLES + samples - (sizes.length - 1) * PACKET_SAMPLES
  if (samples < 1 || last < 1 || last > PACKET_SAMPLES) {
    throw new Error(`${sizes.length} packets do not make up ${samples} samples`)
  }
  const bytes = sizes.reduce((sum, size) => sum + size, 0)
  if (PRIMING_SAMPLES + samples > 0xffffffff || bytes > 0xf0000000) {
    throw new RangeError(`${samples} samples in ${bytes} bytes are too much for one .m4a`)
  }
  const ftyp = box('ftyp', 'M4A ', u32(512), 'M4A isomiso2')
  // The offsets in moov depend on moov's length, which does not depend on the offsets.
  const first = ftyp.length + moov(sizes, samples, last, 0).length + 8
  return Buffer.concat([
    ftyp,
    moov(sizes, samples, last, first),
    u32(8 + bytes),
    Buffer.from('mdat', 'latin1'),
  ])
}

function moov(sizes: Uint32Array, samples: number, last: number, first: number): Buffer {
  return box(
    'moov',
    full(
      'mvhd',
      0,
      0,
      zeros(8),
      u32(SAMPLE_RATE),
      u32(samples),
      u32(0x10000),
      u16(0x100),
      zeros(10),
      MATRIX,
      zeros(24),
      u32(2),
    ),
    box(
      'trak',
      full(
        'tkhd',
        0,
        3,
        zeros(8),
        u32(1),
        zeros(4),
        u32(samples),
        zeros(12),
        u16(0x100),
        zeros(2),
        MATRIX,
        zeros(8),
      ),
      box('edts', full('elst', 0, 0, u32(1), u32(samples), u32(PRIMING_SAMPLES), u32(0x10000))),
      mdia(sizes, samples, last, first),
    ),
    box('udta', meta(sizes.length, samples)),
  )
}

function mdia(sizes: Uint32Array, samples: number, last: number, first: number): Buffer {
  return box(
    'mdia',
    full(
      'mdhd',
      0,
      0,
      zeros(8),
      u32(SAMPLE_RATE),
      u32(PRIMING_SAMPLES + samples),
      u16(UNDETERMINED),
      zeros(2),
    ),
    full('hdlr', 0, 0, zeros(4), 'soun', zeros(12), 'SoundHandler\0'),
    box(
      'minf',
      full('smhd', 0, 0, zeros(4)),
      box('dinf', full('dref', 0, 0, u32(1), full('url ', 0, 1))),
      stbl(sizes, last, first),
    ),
  )
}

/** The language code `und`. */
const UNDETERMINED = 0x55c4

function stbl(sizes: Uint32Array, last: number, first: number): Buffer {
  const n = sizes.length
  const runs =
    n > 1
      ? [
          [n - 1, PACKET_SAMPLES],
          [1, last],
        ]
      : [[1, last]]
  const fullChunks = Math.floor(n / CHUNK_PACKETS)
  const rest = n % CHUNK_PACKETS
  const chunkRuns = [
    ...(fullChunks ? [[1, CHUNK_PACKETS, 1]] : []),
    ...(rest ? [[fullChunks + 1, rest, 1]] : []),
  ]
  return box(
    'stbl',
    full('stsd', 0, 0, u32(1), mp4a(sizes)),
    full('stts', 0, 0, u32(runs.length), ...runs.flat().map(u32)),
    full('stsc', 0, 0, u32(chunkRuns.length), ...chunkRuns.flat().map(u32)),
    full('stsz', 0, 0, u32(0), u32(n), u32s(sizes)),
    full('stco', 0, 0, u32(fullChunks + (rest ? 1 : 0)), u32s(chunkOffsets(sizes, first))),
    // A packet can only be decoded correctly after the one before it.
    full('sgpd', 1, 0, 'roll', u32(2), u32(1), u16(0xffff)),
    full('sbgp', 0, 0, 'roll', u32(1), u32(n), u32(1)),
  )
}

function chunkOffsets(sizes: Uint32Array, first: number): number[] {
  const offsets: number[] = []
  let at = first
  for (const [i, size] of sizes.entries()) {
    if (i % CHUNK_PACKETS === 0) offsets.push(at)
    at += size
  }
  return offsets
}

function mp4a(sizes: Uint32Array): Buffer {
  const bytes = sizes.reduce((sum, size) => sum + size, 0)
  const average = Math.round((bytes * 8 * SAMPLE_RATE) / (sizes.length * PACKET_SAMPLES))
  const largest = sizes.reduce((most, size) => Math.max(most, size), 0)
  const specific = descriptor(5, AUDIO_SPECIFIC_CONFIG)
  const peak = Math.round((largest * 8 * SAMPLE_RATE) / PACKET_SAMPLES)
  // 0x40: MPEG-4 audio; 0x15: an audio stream.
  const decoder = descriptor(
    4,
    Buffer.from([0x40, 0x15]),
    u24(largest),
    u32(peak),
    u32(average),
    specific,
  )
  const es = descriptor(3, u16(1), zeros(1), decoder, descriptor(6, Buffer.from([2])))
  return box(
    'mp4a',
    zeros(6),
    u16(1),
    zeros(8),
    u16(2),
    u16(16),
    zeros(4),
    u32(SAMPLE_RATE * 0x10000),
    full('esds', 0, 0, es),
  )
}

function meta(packetCount: number, samples: number): Buffer {
  const hex = (value: number, digits: number) =>
    value.toString(16).toUpperCase().padStart(digits, '0')
  const padding = packetCount * PACKET_SAMPLES - PRIMING_SAMPLES - samples
  const smpb = ` 00000000 ${hex(PRIMING_SAMPLES, 8)} ${hex(padding, 8)} ${hex(samples, 16)}${' 00000000'.repeat(8)}`
  return full(
    'meta',
    0,
    0,
    full('hdlr', 0, 0, zeros(4), 'mdir', 'appl', zeros(9)),
    box(
      'ilst',
      box('\xa9too', full('data', 0, 1, zeros(4), 'Trackchain')),
      box(
        '----',
        full('mean', 0, 0, 'com.apple.iTunes'),
        full('name', 0, 0, 'iTunSMPB'),
        full('data', 0, 1, zeros(4), smpb),
      ),
    ),
  )
}

function box(type: string, ...contents: readonly (Buffer | string)[]): Buffer {
  const buffers = contents.map((c) => (typeof c === 'string' ? Buffer.from(c, 'latin1') : c))
  const bytes = buffers.reduce((sum, buffer) => sum + buffer.length, 8)
  return Buffer.concat([u32(bytes), Buffer.from(type, 'latin1'), ...buffers])
}

/** A box with a version and flags. */
function full(
  type: string,
  version: number,
  flags: number,
  ...contents: readonly (Buffer | string)[]
): Buffer {
  return box(type, u32(version * 0x1000000 + flags), ...contents)
}

/** A descriptor of MPEG-4 systems, with a content of at most 127 bytes. */
function descriptor(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tag, body.length]), body])
}

function u16(value: number): Buffer {
  const buffer = Buffer.alloc(2)
  buffer.writeUInt16BE(value)
  return buffer
}

function u24(value: number): Buffer {
  return u32(value).subarray(1)
}

function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(value)
  return buffer
}

function u32s(values: ArrayLike<number>): Buffer {
  const buffer = Buffer.alloc(4 * values.length)
  for (let i = 0; i < values.length; i++) buffer.writeUInt32BE(values[i] ?? 0, 4 * i)
  return buffer
}

function zeros(n: number): Buffer {
  return Buffer.alloc(n)
}

const MATRIX = Buffer.concat([
  u32(0x10000),
  zeros(12),
  u32(0x10000),
  zeros(12),
  u32(0x40000000),
])
