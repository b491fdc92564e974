import { aiff, chunk, sparseRf64, wav } from '../audio.ts'
import { noise, sine } from '../synth.ts'
import { put } from './damaged.ts'
import {
  accepted as acceptedAs,
  type Row,
  refused,
  type Verdict,
  warned,
} from './hostile-verdict.ts'

const N = 441
const tone = sine(N, 997)
const stereo = [tone, noise(N, { amplitude: 0.25 })]
const base = wav(stereo)

function accepted(samples = N, peak?: number): Verdict {
  return acceptedAs(samples, peak)
}

function contradictory(): Verdict {
  return warned(N, 'HEADER_CONTRADICTS')
}

function short(): Verdict {
  return warned(N, 'CUT_SHORT')
}

/** WAV, RF64 and AIFF with every field of their headers broken, and odd numbers behind sound ones. */
export function hostilePcm(): Row[] {
  return [...wavSizes(), ...wavFormats(), ...wavChunks(), ...numbers(), ...rf64s(), ...aiffs()]
}

function wavSizes(): Row[] {
  const bytes = 4 * N
  return [
    [
      'data of 0 bytes in a RIFF that ends where the file does',
      put(base, 40, 'u32', 0),
      contradictory(),
    ],
    [
      'data of 0 bytes before another chunk',
      Buffer.concat([base.subarray(0, 40), Buffer.alloc(4), chunk('LIST', Buffer.alloc(400))]),
      refused(/no samples/),
    ],
    ['sizes of 0: streamed', put(put(base, 40, 'u32', 0), 4, 'u32', 0), accepted()],
    ['data of 0xFFFFFFFF bytes', put(base, 40, 'u32', 0xffffffff), accepted()],
    ['data ten times as long as the file', put(base, 40, 'u32', 10 * bytes), short()],
    ['data of a negative length', put(base, 40, 'u32', 2 ** 32 - bytes), short()],
    ['data of an odd length', put(base, 40, 'u32', bytes - 1), accepted(N - 1)],
    ['data of one byte', put(base, 40, 'u32', 1), contradictory()],
    ['a RIFF of 4 bytes', put(base, 4, 'u32', 4), accepted()],
    ['a RIFF of 0xFFFFFFFF bytes', put(base, 4, 'u32', 0xffffffff), accepted()],
    ['a file that ends in its format', base.subarray(0, 30), refused(/cut off|claims/)],
    ['a file that ends behind its header', base.subarray(0, 44), refused(/no samples/)],
    ['RIFF and WAVE and nothing else', base.subarray(0, 12), refused(/no "fmt " chunk/)],
  ]
}

function wavFormats(): Row[] {
  const extensible = wav(stereo, { mask: 3 })
  return [
    ['a block of 0 bytes', put(base, 32, 'u16', 0), contradictory()],
    ['a block of 1 byte', put(base, 32, 'u16', 1), contradictory()],
    ['a block of 65,535 bytes', put(base, 32, 'u16', 65_535), contradictory()],
    ['no channels', put(base, 22, 'u16', 0), refused(/0 channels/)],
    ['65,535 channels', put(base, 22, 'u16', 65_535), refused(/65535 channels/)],
    ['9 channels', put(put(base, 22, 'u16', 9), 32, 'u16', 18), refused(/9 channels/)],
    ['0 Hz', put(base, 24, 'u32', 0), refused(/0 Hz/)],
    ['1 Hz', put(base, 24, 'u32', 1), refused(/1 Hz/)],
    ['2^32 - 1 Hz', put(base, 24, 'u32', 0xffffffff), refused(/4294967295 Hz/)],
    ['0 bytes a second', put(base, 28, 'u32', 0), contradictory()],
    ['0 bits', put(base, 34, 'u16', 0), contradictory()],
    ['7 bits in two bytes: the block counts', put(base, 34, 'u16', 7), contradictory()],
    ['128 bits', put(base, 34, 'u16', 128), contradictory()],
    [
      '64-bit whole numbers',
      put(put(base, 32, 'u16', 16), 34, 'u16', 64),
      refused(/64-bit int/),
    ],
    [
      '24-bit floats',
      put(put(put(base, 20, 'u16', 3), 32, 'u16', 6), 34, 'u16', 24),
      refused(/24-bit float/),
    ],
    ['a codec of no name', put(base, 20, 'u16', 0xbeef), refused(/format 0xbeef/)],
    ['MP3 that is none', put(base, 20, 'u16', 85), refused(/no MP3/)],
    ['ADPCM of a PCM header', put(base, 20, 'u16', 2), refused(/MS ADPCM|adpcm/)],
    [
      'a subformat of no name',
      put(extensible, 50, 'u32', 0xdeadbeef),
      refused(/unknown subformat/),
    ],
    [
      'a subformat that is extensible',
      put(extensible, 44, 'u16', 0xfffe),
      refused(/format 0xfffe/),
    ],
    ['a mask of all loudspeakers', put(extensible, 40, 'u32', 0xffffffff), accepted()],
    ['no valid bits', put(extensible, 38, 'u16', 0), accepted()],
    [
      'extensible without its extension',
      put(base, 20, 'u16', 0xfffe),
      refused(/extensible "fmt " chunk of 16/),
    ],
  ]
}

function wavChunks(): Row[] {
  const before = (...chunks: Buffer[]) => wav(stereo, { before: chunks })
  const [head, format, data] = [base.subarray(0, 12), base.subarray(12, 36), base.subarray(36)]
  let nested: Buffer = Buffer.alloc(0)
  for (let n = 0; n < 500; n++)
    nested = chunk('LIST', Buffer.concat([Buffer.from('INFO'), nested]))
  const other = put(format, 12, 'u32', 8000)
  return [
    ['samples before their format', Buffer.concat([head, data, format]), accepted()],
    [
      'two formats that differ',
      Buffer.concat([head, format, other, data]),
      refused(/second "fmt " chunk/),
    ],
    [
      'two lots of samples: the first counts',
      Buffer.concat([base, chunk('data', Buffer.alloc(80))]),
      warned(N, 'MORE_FOLLOWS'),
    ],
    [
      '990 empty chunks',
      before(...Array.from({ length: 990 }, () => chunk('junk', Buffer.alloc(0)))),
      accepted(),
    ],
    [
      '10,000 empty chunks',
      before(...Array.from({ length: 10_000 }, () => chunk('junk', Buffer.alloc(0)))),
      refused(/more than 1000 chunks/),
    ],
    [
      '600 chunks of 20 kB',
      before(...Array.from({ length: 600 }, () => chunk('junk', Buffer.alloc(20_000)))),
      refused(/goes on and on/),
    ],
    [
      'a chunk that would lead back to itself',
      before(chunk('loop', Buffer.alloc(4), 0xfffffff8)),
      refused(/claims 4294967288 bytes/),
    ],
    ['500 lists, one in the other', before(nested), accepted()],
    ['a list of 9 MB', before(chunk('LIST', Buffer.alloc(9_000_000))), accepted()],
    [
      'a chunk whose name would colour a terminal',
      before(chunk('\x1b[31', Buffer.alloc(2), 0xffff)),
      refused(/chunk "\?\[31" claims/),
    ],
    [
      'HTML for samples',
      Buffer.concat([
        base.subarray(0, 44),
        Buffer.from('<script>alert(1)</script>'.repeat(70)).subarray(0, 4 * N),
      ]),
      warned(437, 'CUT_SHORT'),
    ],
  ]
}

function numbers(): Row[] {
  const floats = (fill: (i: number) => number, bits = 32) =>
    wav([Float64Array.from({ length: N }, (_, i) => fill(i)), tone.map(() => 0)], {
      bits,
      float: true,
    })
  const { NaN: none, POSITIVE_INFINITY: most, MIN_VALUE: least } = Number
  return [
    ['nothing but NaN', floats(() => none), accepted(N, 0)],
    [
      'infinities of both signs',
      floats((i) => (i % 2 === 0 ? most : -most), 64),
      accepted(N, 0),
    ],
    ['numbers too small to be normal', floats(() => least, 64), accepted(N, 0)],
    ['numbers of 10^300', floats(() => 1e300, 64), accepted(N, 32_767)],
    ['one sample', wav(stereo.map((channel) => channel.subarray(0, 1))), accepted(1)],
    ['a constant full scale', wav([tone.map(() => 1), tone.map(() => 1)]), accepted(N, 32_767)],
    ['digital silence', wav([tone.map(() => 0), tone.map(() => 0)]), accepted(N, 0)],
    [
      'one sample at 768 kHz, 8 channels of doubles',
      wav(
        Array.from({ length: 8 }, () => tone.subarray(0, 1)),
        { rate: 768_000, bits: 64, float: true },
      ),
      accepted(1),
    ],
  ]
}

function rf64s(): Row[] {
  const long = wav(stereo, { rf64: true })
  const far = 0xffffffffffffffffn
  const short = Buffer.concat([
    long.subarray(0, 16),
    Buffer.from([4, 0, 0, 0]),
    long.subarray(20, 24),
    long.subarray(48),
  ])
  return [
    ['RF64 of 2^64 - 1 bytes', put(put(long, 20, 'u64', far), 28, 'u64', far), accepted()],
    ['RF64 of a negative length', put(long, 28, 'u64', far - 1763n), accepted()],
    ['RF64 of one byte', put(long, 28, 'u64', 1n), contradictory()],
    ['RF64 with a short ds64', short, refused(/"ds64" chunk of 4 bytes/)],
    [
      'RF64 without a ds64',
      Buffer.concat([long.subarray(0, 12), long.subarray(48)]),
      contradictory(),
    ],
    [
      'RF64 over 4 GB',
      (path) => sparseRf64(path, 1_100_000_000, stereo),
      accepted(1_100_000_000 + N),
    ],
    [
      'RF64 of 25 hours',
      (path) => sparseRf64(path, 25 * 3600 * 44_100, stereo),
      refused(/25\.00 hours; at most 24/, 'OVER_LIMITS'),
    ],
  ]
}

function aiffs(): Row[] {
  const file = aiff(stereo)
  const rate = (hex: string) =>
    Buffer.concat([file.subarray(0, 28), Buffer.from(hex, 'hex'), file.subarray(38)])
  const [head, common, sound] = [file.subarray(0, 12), file.subarray(12, 38), file.subarray(38)]
  const compressed = (kind: string) => aiff(stereo, { compression: kind })
  return [
    ['AIFF of NaN Hz', rate('7fffc000000000000000'), refused(/Infinity Hz|NaN Hz/)],
    ['AIFF of infinite Hz', rate('7fff8000000000000000'), refused(/Infinity Hz/)],
    ['AIFF of -44,100 Hz', rate('c00eac44000000000000'), refused(/-44100 Hz/)],
    ['AIFF of 0 Hz', rate('00000000000000000000'), refused(/ 0 Hz/)],
    ['AIFF of next to no Hz', rate('0001ffffffffffffffff'), refused(/ 0 Hz/)],
    ['AIFF of no channels', put(file, 20, 'u16be', 0), refused(/0 channels/)],
    ['AIFF of 0 samples: streamed', put(file, 22, 'u32be', 0), accepted()],
    ['AIFF of 2^32 - 1 samples', put(file, 22, 'u32be', 0xffffffff), accepted()],
    ['AIFF of 0 bits', put(file, 26, 'u16be', 0), contradictory()],
    ['AIFF of -16 bits', put(file, 26, 'u16be', 0xfff0), contradictory()],
    ['AIFF of 40 bits', put(file, 26, 'u16be', 40), contradictory()],
    [
      'AIFF whose samples begin beyond the end',
      put(file, 46, 'u32be', 0xfffffff0),
      refused(/no samples/),
    ],
    ['AIFF with samples first', Buffer.concat([head, sound, common]), accepted()],
    [
      'AIFF with two descriptions',
      Buffer.concat([head, common, common, sound]),
      refused(/second "COMM" chunk/),
    ],
    ['AIFF of nothing but a header', file.subarray(0, 54), refused(/no samples/)],
    [
      'AIFF-C of a codec that is not taken',
      compressed('QDM2'),
      refused(/compressed as "QDM2"/),
    ],
    [
      'AIFF-C of a codec with an odd name',
      compressed('\0\x1b]0'),
      refused(/compressed as "\?\?\]0"/),
    ],
    ['AIFF-C of ADPCM that is none', compressed('ima4'), acceptedAs([1, 20_000])],
  ]
}
