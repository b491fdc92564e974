import t, { type Test } from 'tap'
import type { Warning } from '#shared/contracts/warnings.ts'
import type { ByteRanges } from '../../../services/stage/formats/byte-window.ts'
import { readHeader } from '../../../services/stage/formats/read-header.ts'
import { aiff, chunk, flac, wav } from '../../support/audio.ts'
import { claiming, music, padded, sparse, whole } from '../../support/masters/contradicting.ts'
import { over, put } from '../../support/masters/damaged.ts'
import { noise, silence } from '../../support/synth.ts'

/** The expected reading of a header. `warnings` has the codes of all warnings. */
interface Want {
  readonly samples: number
  readonly bits?: number
  readonly warnings?: readonly string[]
}
type Case = readonly [name: string, file: Buffer | ByteRanges, want: Want | RegExp]

const wrong = ['HEADER_CONTRADICTS']
const N = 11_025
const CD_SECOND = 176_400
const WRAP = 2 ** 32
const both = [silence(0), silence(0)]

async function check(t: Test, [name, file, want]: Case): Promise<void> {
  const ranges = Buffer.isBuffer(file) ? whole(file) : file
  if (want instanceof RegExp) {
    const message = want
    await t.rejects(readHeader(ranges), { code: 'MASTER_UNREADABLE', message }, name)
    return
  }
  const { warnings: codes = [], ...layout } = want
  const header = await readHeader(ranges)
  t.match(header, layout, name)
  const { warnings = [] } = header
  t.same(
    warnings.map(({ code }) => code),
    codes,
    `${name}: ${warnings.map(({ sentence }) => sentence).join(' | ') || 'no warnings'}`,
  )
  t.notMatch(JSON.stringify(warnings), /\p{Cc}|0x[0-9a-f]{6,}/u)
}

t.test(
  'block, byte rate and bits contradict each other: what fits the samples wins',
  async (t) => {
    const of16 = music(16)
    const of8 = music(8)
    const stereo = music(16, 2)
    const of24 = music(24, 2)
    const hiss = wav([noise(N)]).subarray(44)
    const cases: Case[] = [
      ['16 bits in blocks of 4', claiming(of16, { block: 4, byteRate: 88_200 }), w(N, 16)],
      ['the same with the byte rate of the block', claiming(of16, { block: 4 }), w(N, 16)],
      ['16 bits in blocks of 0', claiming(of16, { block: 0, byteRate: 88_200 }), w(N, 16)],
      ['16 bits in blocks of 0, 0 bytes a second', claiming(of16, { block: 0 }), w(N, 16)],
      ['16 bits in blocks of 1', claiming(of16, { block: 1, byteRate: 88_200 }), w(N, 16)],
      ['16 bits in blocks of 1 throughout', claiming(of16, { block: 1 }), w(N, 16)],
      ['16 bits in blocks of 3', claiming(of16, { block: 3, byteRate: 88_200 }), w(N, 16)],
      [
        '8 bits in blocks of 2',
        claiming(of8, { bits: 8, block: 2, byteRate: 44_100 }),
        w(N, 8),
      ],
      ['8 bits in blocks of 2 throughout', claiming(of8, { bits: 8, block: 2 }), w(N, 8)],
      ['16 bits that are said to be 8', claiming(of16, { bits: 8, block: 2 }), w(N, 16)],
      ['stereo in blocks of one channel', claiming(stereo, { ...two(16), block: 2 }), w(N, 16)],
      ['stereo in blocks of twice two', claiming(stereo, { ...two(16), block: 8 }), w(N, 16)],
      ['24 bits in blocks of 32', claiming(of24, { ...two(24), block: 8 }), w(N, 24)],
      ['24 bits in blocks of 16', claiming(of24, { ...two(24), block: 4 }), w(N, 24)],
      ['32 bits that are said to be 24', claiming(music(32), { bits: 24, block: 4 }), w(N, 32)],
      [
        'floats in blocks of 8',
        claiming(music(32, 1, true), { tag: 3, bits: 32, block: 8 }),
        w(N, 32),
      ],
      [
        'floats of unlike channels in blocks of 16',
        claiming(unlike(), { ...two(32), tag: 3, block: 16 }),
        w(N, 32),
      ],
      [
        'doubles that are said to be floats',
        claiming(music(64, 1, true), { tag: 3, bits: 32, block: 8 }),
        w(N, 64),
      ],
      ['a byte rate alone', claiming(of16, { byteRate: 1 }), w(N, 16)],
      ['a byte rate of another rate', claiming(of16, { byteRate: 96_000 }), w(N, 16)],
      ['A-law in blocks of 2', claiming(of8, { tag: 6, bits: 8, block: 2 }), w(N, 8)],
      ['A-law of 16 bits', claiming(of8, { tag: 6, bits: 16, block: 1 }), w(N, 8)],
      ['the oldest format, which ends before the bits', oldest(of16), { samples: N, bits: 16 }],
      ['no bits', claiming(of16, { bits: 0, block: 2 }), w(N, 16)],
      [
        'noise, which shows nothing, where two of three agree',
        claiming(hiss, { block: 4, byteRate: 88_200 }),
        w(N, 16),
      ],
      [
        'noise, of which nothing agrees',
        claiming(hiss, { block: 3, byteRate: 44_100 }),
        /samples that do not show which is right/,
      ],
    ]
    for (const each of cases) await check(t, each)
  },
)

t.test('a rate that is doubtful is said to be', async (t) => {
  const { warnings = [] } = await readHeader(whole(claiming(music(16), { byteRate: 96_000 })))
  const sentence =
    'the header says 44100 Hz, and 96000 bytes a second, which in blocks of 2 bytes are 48000 Hz; it was read at 44100 Hz'
  t.same(warnings, [{ code: 'HEADER_CONTRADICTS', sentence }])
})

t.test('numbers in wider blocks are as they should be, and no contradiction', async (t) => {
  const [of16, of24] = [music(16, 2), music(24, 2)]
  const roomy = padded(of24, 3, 4)
  const cases: Case[] = [
    ['24 bits in 32', claiming(roomy, { ...two(24), block: 8 }), { samples: N, bits: 32 }],
    ['20 bits in 24', claiming(of24, { ...two(20), block: 6 }), { samples: N, bits: 24 }],
    ['12 bits in 16', claiming(of16, { ...two(12), block: 4 }), { samples: N, bits: 16 }],
    [
      '20 valid bits of 24 in 32',
      claiming(roomy, { ...two(24), block: 8, validBits: 20 }),
      { samples: N, bits: 32 },
    ],
    [
      '24 valid bits of 32',
      claiming(roomy, { ...two(32), validBits: 24 }),
      { samples: N, bits: 32 },
    ],
    [
      'silence in 24 of 32',
      claiming(Buffer.alloc(8 * N), { ...two(24), block: 8 }),
      { samples: N, bits: 32 },
    ],
    ['24 valid bits of 16', claiming(of16, { ...two(16), validBits: 24 }), w(N, 16)],
    [
      '16 bits padded to 24 with a byte rate of 16',
      claiming(padded(of16, 2, 3), { ...two(16), block: 6, byteRate: CD_SECOND }),
      w(N, 24),
    ],
  ]
  for (const each of cases) await check(t, each)
})

t.test('sizes modulo 4 GiB: all of it, or a refusal that says so', async (t) => {
  const hours = (seconds: number, ...more: Buffer[]) => {
    const bytes = CD_SECOND * seconds
    const file = wav(both, { dataSize: bytes % WRAP, riffSize: (bytes + 36) % WRAP })
    const tail = Buffer.concat(more)
    return sparse(file, 44 + bytes + tail.length, tail)
  }
  const list = chunk('LIST', Buffer.from('INFOICMT\x04\0\0\0abc\0', 'latin1'))
  const samples = (seconds: number) => 44_100 * seconds
  const long = 24_360
  const head = wav(both, { dataSize: (long * CD_SECOND) % WRAP, riffSize: 1000 })
  const counted = wav(both, { rf64: true, dataSize: 1000 * CD_SECOND })
  const at = counted.indexOf('data') + 4
  const rf64 = put(counted, at, 'u32', 0xffffffff)
  const cases: Case[] = [
    ['6 h 46 min', hours(long), w(samples(long))],
    ['the same, and a list behind it', hours(long, list), w(samples(long))],
    ['13.5 h: twice round', hours(48_700), w(samples(48_700))],
    [
      'so much more that is no multiple',
      sparse(head, 44 + long * CD_SECOND + 1000),
      /counts \d+ bytes of samples, and \d+ more follow that are no chunk/,
    ],
    [
      'a few seconds counted of a minute',
      sparse(wav(both, { dataSize: 2 * CD_SECOND, riffSize: 1000 }), 44 + 60 * CD_SECOND),
      /and 10231200 more follow/,
    ],
    [
      'the same, but the outer size is right',
      sparse(
        wav(both, { dataSize: 2 * CD_SECOND, riffSize: 36 + 60 * CD_SECOND }),
        44 + 60 * CD_SECOND,
      ),
      w(samples(60)),
    ],
    [
      'RF64 as it should be',
      sparse(rf64, at + 4 + 1000 * CD_SECOND),
      { samples: samples(1000) },
    ],
    [
      'RF64 whose "data" says something else than ds64',
      sparse(put(rf64, at, 'u32', 12 * CD_SECOND), at + 4 + 1000 * CD_SECOND),
      w(samples(1000)),
    ],
    [
      'RF64 whose ds64 says something else than "data", which is right',
      sparse(put(rf64, at, 'u32', 12 * CD_SECOND), at + 4 + 12 * CD_SECOND),
      w(samples(12)),
    ],
    [
      'RF64 of two sizes, neither of which is right',
      sparse(put(rf64, at, 'u32', 12 * CD_SECOND), at + 4 + 500 * CD_SECOND),
      /in one place and \d+ in another/,
    ],
    [
      'RF64 with both sizes the same',
      sparse(put(rf64, at, 'u32', 1000 * CD_SECOND), at + 4 + 1000 * CD_SECOND),
      { samples: samples(1000) },
    ],
    [
      'RF64 without a ds64',
      Buffer.concat([over(rf64.subarray(0, 12), 0, 'RF64'), rf64.subarray(48), music(16, 2)]),
      w(N),
    ],
    [
      'AIFF whose sound chunk wraps, with the number of its samples',
      sparse(
        put(
          put(aiff(both), 22, 'u32be', samples(long)),
          42,
          'u32be',
          (long * CD_SECOND + 8) % WRAP,
        ),
        54 + long * CD_SECOND,
      ),
      w(samples(long)),
    ],
  ]
  for (const each of cases) await check(t, each)
})

t.test('a WAV or AIFF that breaks off says how much is there', async (t) => {
  const second = 44_100
  const file = wav([silence(2 * second), silence(2 * second)])
  const half = sparse(file, 44 + CD_SECOND)
  const cut = (await readHeader(half)).warnings as readonly Warning[]
  t.match(cut, [{ code: 'CUT_SHORT', promised_seconds: 2, present_seconds: 1 }])
  t.equal(cut[0]?.sentence, 'the WAV is cut short: its header promises 2 s, and 1 s are there')
  const short = ['CUT_SHORT']
  const sound = aiff([silence(2 * second), silence(2 * second)])
  const long = wav(stereo(), { rf64: true })
  const rf64 = wav(both, { rf64: true, dataSize: 40_000 * CD_SECOND, riffSize: 72 })
  const cases: Case[] = [
    ['AIFF', sparse(sound, 54 + CD_SECOND), { samples: second, warnings: short }],
    [
      'RF64 of 11 hours that has one',
      sparse(rf64, 80 + 3600 * CD_SECOND),
      { samples: 3600 * second, warnings: short },
    ],
    ...[2n ** 53n, 2n ** 60n, 2n ** 63n].map(
      (size): Case => [
        `RF64 of ${size} bytes`,
        put(put(long, 20, 'u64', size), 28, 'u64', size),
        w0(N, short),
      ],
    ),
    [
      'RF64 of as many bytes as nobody can count',
      put(long, 28, 'u64', 2n ** 64n - 1n),
      { samples: N },
    ],
    ['within its last sample', file.subarray(0, file.length - 3), w0(2 * second - 1, short)],
    [
      'without the list behind it',
      Buffer.concat([file, chunk('LIST', Buffer.alloc(9))]).subarray(0, file.length + 12),
      { samples: 2 * second },
    ],
    ['counting its header among its samples', put(file, 40, 'u32', file.length), w(2 * second)],
  ]
  for (const each of cases) await check(t, each)
})

t.test('writers that can not come back leave no size, which is nothing wrong', async (t) => {
  const samples = music(16, 2)
  const streamed = (dataSize: number, riffSize: number) =>
    Buffer.concat([wav(both, { dataSize, riffSize }), samples])
  const cases: Case[] = [
    ['ffmpeg', streamed(0xffffffff, 0xffffffff), { samples: N }],
    ['nothing at all', streamed(0, 0), { samples: N }],
    ['SoX', streamed(0x7ffff000, 0x7ffff024), { samples: N }],
    ['the largest signed number', streamed(0x7fffffff, 0x7fffffff), { samples: N }],
    ['less what is before', streamed(0xffffffff - 36, 0xffffffff), { samples: N }],
    ['zeros and a header', streamed(0, 36), { samples: N }],
    [
      'AIFF by ffmpeg',
      put(put(put(aiff(stereo()), 4, 'u32be', 0), 22, 'u32be', 0), 42, 'u32be', 0),
      { samples: N },
    ],
    [
      'AIFF by SoX',
      put(put(aiff(stereo()), 22, 'u32be', 0x1fc00000), 42, 'u32be', 0x7f000008),
      { samples: N },
    ],
  ]
  for (const each of cases) await check(t, each)
})

t.test('what lies behind the samples', async (t) => {
  const more = ['MORE_FOLLOWS']
  const file = wav(stereo())
  const cases: Case[] = [
    ['an ID3v1 tag', Buffer.concat([file, tag()]), { samples: N }],
    ['zeros up to the sector', Buffer.concat([file, Buffer.alloc(1000)]), { samples: N }],
    ['a little of anything', Buffer.concat([file, Buffer.alloc(900, 0xe5)]), w0(N, more)],
    ['another WAV', Buffer.concat([file, file]), w0(N, more)],
    ['other samples', Buffer.concat([file, file.subarray(36)]), w0(N, more)],
    ['another WAV that is counted in', counted(file), w0(N, more)],
    ['another WAV behind one that nobody counted', uncounted(file), w0(N, more)],
    ['a FLAC behind one that nobody counted', uncounted(await flac(file)), w0(N, more)],
    ['another AIFF', Buffer.concat([aiff(stereo()), aiff(stereo())]), w0(N, more)],
    ['a chunk of odd size without its filling', odd(), { samples: N - 1 }],
    ['the same format twice', twice(), { samples: N }],
  ]
  for (const each of cases) await check(t, each)

  function counted(other: Buffer): Buffer {
    const both = Buffer.concat([file, other])
    return put(put(both, 4, 'u32', both.length - 8), 40, 'u32', both.length - 44)
  }

  function uncounted(other: Buffer): Buffer {
    return put(put(Buffer.concat([file, other]), 4, 'u32', 0xffffffff), 40, 'u32', 0xffffffff)
  }

  function tag(): Buffer {
    return over(Buffer.alloc(128), 0, 'TAGtitle')
  }

  function odd(): Buffer {
    const data = put(file, 40, 'u32', 4 * N - 1)
    return Buffer.concat([data.subarray(0, -1), chunk('LIST', Buffer.from('INFO'))])
  }

  function twice(): Buffer {
    return Buffer.concat([file.subarray(0, 36), file.subarray(12)])
  }
})

t.test('AIFF-C and big-endian RIFF', async (t) => {
  const sound = (compression: string, bits: number) => aiff(stereo(), { compression, bits })
  const little = Buffer.concat([sound('in24', 24).subarray(0, -N * 6), music(24, 2)])
  const at = little.indexOf('in24')
  const short = over(sound('NONE', 16), 0, 'FORM')
  const common = short.indexOf('COMM')
  const cases: Case[] = [
    ['42ni', over(little, at, '42ni'), { samples: N, bits: 24 }],
    ['fl64', sound('fl64', 64), { samples: N, bits: 64 }],
    [
      'a description of 18 bytes',
      Buffer.concat([
        put(short, common + 4, 'u32be', 18).subarray(0, common + 26),
        short.subarray(short.indexOf('SSND')),
      ]),
      { samples: N, bits: 16 },
    ],
    ['16 bits said to be 24', put(aiff(stereo()), 26, 'u16be', 24), w(N, 16)],
    ['fewer samples counted than are there', put(aiff(stereo()), 22, 'u32be', 100), w(N)],
    ['RIFX', rifx(), { samples: N, bits: 16 }],
  ]
  for (const each of cases) await check(t, each)
  t.match(await readHeader(whole(over(little, at, '42ni'))), { bigEndian: false })
  t.match(await readHeader(whole(rifx())), { bigEndian: true, rate: 44_100 })
})

t.test('sentences name the format, and hold nothing that can not be printed', async (t) => {
  const extensible = claiming(music(16, 2), { ...two(16), validBits: 16 })
  const guid = (hex: string) => over(extensible, 44, Buffer.from(hex, 'hex'))
  const cases: Case[] = [
    ['ambisonics', guid('010000002107d3118644c8c1ca000000'), /ambisonic B-format/],
    ['float ambisonics', guid('030000002107d3118644c8c1ca000000'), /ambisonic B-format/],
    [
      'anything',
      guid('efbeadde0102030405060708090a0b0c'),
      /subformat deadbeef-0201-0403-0506-0708090a0b0c/,
    ],
    ['an odd compression', aiff(stereo(), { compression: '\x1b[0m' }), /"\?\[0m"/],
  ]
  for (const each of cases) await check(t, each)
})

function stereo() {
  return [silence(N), silence(N)].map((channel, index) =>
    channel.map((_, i) => Math.sin((i * (index + 1)) / 60) / 2),
  )
}

function rifx(): Buffer {
  const file = Buffer.from(wav(stereo()))
  file.write('RIFX', 0, 'latin1')
  for (const at of [4, 16, 24, 28, 40]) file.subarray(at, at + 4).reverse()
  for (const at of [20, 22, 32, 34]) file.subarray(at, at + 2).reverse()
  file.subarray(44).swap16()
  return file
}

function oldest(samples: Buffer): Buffer {
  const file = claiming(samples, {})
  const format = put(file.subarray(12, 34), 4, 'u32', 14)
  return Buffer.concat([file.subarray(0, 12), format, file.subarray(36)])
}

/** The left channel is twice as loud as the right. */
function unlike(): Buffer {
  const [left, right] = stereo()
  return wav([left as Float64Array, (right as Float64Array).map((value) => value / 2)], {
    ...{ bits: 32, float: true },
  }).subarray(44)
}

function two(bits: number) {
  return { channels: 2, bits } as const
}

function w(samples: number, bits?: number): Want {
  return { samples, warnings: wrong, ...(bits === undefined ? {} : { bits }) }
}

function w0(samples: number, warnings: readonly string[]): Want {
  return { samples, warnings }
}
