import t from 'tap'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import type { ByteRanges } from '../../../services/stage/formats/byte-window.ts'
import {
  describeLayout,
  type FlacLayout,
  isConformant,
  type Layout,
} from '../../../services/stage/formats/layout.ts'
import { readHeader } from '../../../services/stage/formats/read-header.ts'
import { aiff, chunk, coded, codedAs, flac, wav } from '../../support/audio.ts'
import { noise, silence, sine } from '../../support/synth.ts'

const tone = sine(100, 440)
const stereo = [tone, noise(100)]

t.test('what is read of sound masters', async (t) => {
  const five = Array.from({ length: 6 }, () => tone)
  const cases: readonly (readonly [
    title: string,
    file: Buffer,
    want: Record<string, unknown>,
  ])[] = [
    [
      'a plain WAV',
      wav(stereo),
      { container: 'WAV', bits: 16, offset: 44, samples: 100, rate: 44_100, channels: 2 },
    ],
    [
      '24 bits at 48 kHz',
      wav(stereo, { bits: 24, rate: 48_000 }),
      { bits: 24, rate: 48_000, samples: 100 },
    ],
    [
      '8 bits, which count from 0',
      wav([tone], { bits: 8, rate: 22_050 }),
      { bits: 8, unsigned: true, channels: 1 },
    ],
    ['32-bit float', wav(stereo, { bits: 32, float: true }), { encoding: 'float', bits: 32 }],
    ['64-bit float', wav(stereo, { bits: 64, float: true }), { encoding: 'float', bits: 64 }],
    ['extensible 5.1', wav(five, { mask: 0x3f }), { mask: 0x3f, channels: 6, offset: 68 }],
    [
      'extensible float',
      wav(stereo, { mask: 3, bits: 32, float: true }),
      { encoding: 'float' },
    ],
    ['RF64', wav(stereo, { rf64: true }), { container: 'RF64', samples: 100, offset: 80 }],
    [
      'RF64 that nobody finished',
      wav(stereo, { rf64: true, dataSize: 0, riffSize: 0 }),
      { samples: 100 },
    ],
    [
      'chunks before the samples',
      wav(stereo, {
        before: [chunk('bext', Buffer.alloc(602)), chunk('JUNK', Buffer.alloc(30_000))],
      }),
      { offset: 44 + 610 + 30_008 },
    ],
    [
      'a chunk of odd size, padded',
      wav(stereo, { before: [chunk('note', Buffer.from('odd'))] }),
      { offset: 56 },
    ],
    [
      'a chunk of odd size, not padded, where a byte later another could begin ("ata ")',
      wav([silence(6280), silence(6280)], {
        before: [chunk('LIST', Buffer.alloc(17)).subarray(0, 25)],
      }),
      { samples: 6280, offset: 69 },
    ],
    [
      'a chunk of odd size, not padded',
      wav(stereo, { before: [chunk('note', Buffer.from('odd')).subarray(0, 11)] }),
      { offset: 55 },
    ],
    ['the format after the samples', formatLast(), { samples: 100, offset: 20 }],
    [
      'chunks after the samples',
      Buffer.concat([wav(stereo), chunk('LIST', Buffer.alloc(100))]),
      { samples: 100 },
    ],
    [
      'a streamed WAV of size 0xFFFFFFFF',
      wav(stereo, { dataSize: 0xffffffff, riffSize: 0xffffffff }),
      { samples: 100 },
    ],
    ['a streamed WAV of size 0', wav(stereo, { dataSize: 0, riffSize: 0 }), { samples: 100 }],
    [
      'a streamed WAV whose writer counted its header alone',
      wav(stereo, { dataSize: 0, riffSize: 36 }),
      { samples: 100 },
    ],
    ['a WAV cut short, to whole samples', wav(stereo).subarray(0, 44 + 203), { samples: 50 }],
    ['odd bytes at the end', wav(stereo, { dataSize: 398 }).subarray(0, 442), { samples: 99 }],
    [
      'AIFF',
      aiff(stereo),
      { container: 'AIFF', bigEndian: true, bits: 16, rate: 44_100, samples: 100, offset: 54 },
    ],
    [
      'AIFF at 96 kHz, 24 bits',
      aiff(stereo, { rate: 96_000, bits: 24 }),
      { rate: 96_000, bits: 24 },
    ],
    ['AIFF with an offset to its samples', aiff(stereo, { offset: 10 }), { offset: 64 }],
    [
      'AIFF-C sowt',
      aiff(stereo, { compression: 'sowt' }),
      { container: 'AIFF-C', bigEndian: false },
    ],
    [
      'AIFF-C NONE',
      aiff(stereo, { compression: 'NONE' }),
      { container: 'AIFF-C', bigEndian: true },
    ],
    [
      'AIFF-C fl32',
      aiff(stereo, { compression: 'fl32', bits: 32 }),
      { encoding: 'float', bits: 32 },
    ],
    ['AIFF cut short', aiff(stereo).subarray(0, 54 + 41), { samples: 10 }],
    ['one sample', wav([tone.subarray(0, 1)]), { samples: 1 }],
  ]
  for (const [title, file, want] of cases) {
    t.match(await readHeader(ranges(file)), want, title)
  }
})

t.test('what there is to decode in compressed masters', async (t) => {
  const music = wav([sine(22_050, 440), noise(22_050)])
  const cases = [
    [
      'a.mp3',
      [],
      { container: 'MP3', codec: 'MP3', decoder: 'mp3', skip: 1105, promised: 0.5 },
    ],
    [
      'b.mp3',
      ['-write_xing', '0', '-id3v2_version', '0'],
      { container: 'MP3', skip: undefined, promised: undefined },
    ],
    ['a.mp2', [], { container: 'MPEG', codec: 'MP2', decoder: 'mp2' }],
    ['a.aac', [], { container: 'AAC', demuxer: 'aac' }],
    ['a.m4a', [], { container: 'M4A', codec: 'AAC', demuxer: 'mov', feed: [{}, Buffer, {}] }],
    ['b.m4a', ['-movflags', 'faststart'], { container: 'M4A', feed: [{ start: 0 }] }],
    ['c.m4a', ['-c:a', 'alac'], { codec: 'ALAC', decoder: 'alac' }],
    ['a.ogg', ['-c:a', 'libvorbis'], { container: 'Ogg', codec: 'Vorbis' }],
    ['b.ogg', ['-c:a', 'libopus', '-ar', '48000'], { container: 'Ogg', codec: 'Opus' }],
    ['c.oga', ['-c:a', 'flac'], { container: 'Ogg', codec: 'FLAC' }],
    ['a.wav', ['-c:a', 'adpcm_ms'], { container: 'WAV', codec: 'MS ADPCM', demuxer: 'wav' }],
    ['b.wav', ['-c:a', 'adpcm_ima_wav'], { container: 'WAV', codec: 'IMA ADPCM' }],
    ['c.wav', ['-c:a', 'libmp3lame'], { container: 'WAV', codec: 'MP3', demuxer: 'mp3' }],
    ['a.aifc', ['-c:a', 'adpcm_ima_qt'], { container: 'AIFF-C', codec: 'IMA ADPCM' }],
  ] as const
  const laws = [
    ['alaw.wav', ['-c:a', 'pcm_alaw'], 'alaw'],
    ['mulaw.aifc', ['-c:a', 'pcm_mulaw'], 'mulaw'],
  ] as const
  const files = await codedAs(music, [...cases, ...laws])
  for (const [n, [name, args, want]] of cases.entries()) {
    const header = await readHeader(ranges(files[n] as Buffer))
    t.match(header, { kind: 'coded', ...want }, `${name} ${args.join(' ')}`)
  }
  const pcm = { kind: 'pcm', bits: 8, unsigned: false }
  for (const [n, [, , encoding]] of laws.entries()) {
    const header = await readHeader(ranges(files[cases.length + n] as Buffer))
    t.match(header, { ...pcm, encoding, samples: 22_050 })
  }
})

t.test('an ID3 tag may come before a master of any kind', async (t) => {
  const tag = Buffer.concat([Buffer.from('ID3\x04\0\0\0\0\x02\0', 'latin1'), Buffer.alloc(300)])
  t.match(await readHeader(ranges(Buffer.concat([tag, wav(stereo)]))), {
    container: 'WAV',
    offset: 310 + 44,
  })
  const mp3 = await coded('a.mp3', wav(stereo), ['-id3v2_version', '0'])
  const tagged = Buffer.concat([tag, mp3, Buffer.from('TAG'.padEnd(128, '\0'))])
  t.match(await readHeader(ranges(tagged)), {
    container: 'MP3',
    feed: [{ start: 310, end: tagged.length }],
    padding: 1099,
  })
})

t.test('a FLAC stream is read from STREAMINFO, also behind an ID3 tag', async (t) => {
  const file = await flac(
    wav([sine(48_000, 440, { rate: 48_000 })], { rate: 48_000, bits: 24 }),
    { bits: 24 },
  )
  const want = { kind: 'flac', bits: 24, rate: 48_000, channels: 1, samples: 48_000 }
  const layout = (await readHeader(ranges(file))) as FlacLayout
  t.match(layout, want)
  t.equal(file.readUInt16BE(layout.offset) >> 2, 0x3ffe, 'the first frame begins where it says')
  const tag = Buffer.concat([Buffer.from('ID3\x04\0\0\0\0\x02\0', 'latin1'), Buffer.alloc(256)])
  const tagged = await readHeader(ranges(Buffer.concat([tag, file])))
  t.match(tagged, { ...want, offset: layout.offset + tag.length })
})

t.test('what is wrong with unsound masters is said, with the byte', async (t) => {
  const good = wav(stereo)
  const flacFile = await flac(wav(stereo))
  const cases: readonly (readonly [title: string, file: Buffer, says: RegExp])[] = [
    ['an empty file', Buffer.alloc(0), /byte 0: .*empty/],
    ['one byte', Buffer.from([7]), /byte 0: begins with bytes that are no audio known here/],
    ['zeros', Buffer.alloc(1000), /nothing but zeros/],
    [
      'one MP3 frame and no second',
      Buffer.from('fffb9064'.padEnd(2000, '0'), 'hex'),
      /no second/,
    ],
    [
      'one frame of MPEG audio',
      Buffer.from('fffd8404'.padEnd(2000, '0'), 'hex'),
      /no second frame/,
    ],
    ['a free bit rate', Buffer.from('fffb0004'.padEnd(2000, '0'), 'hex'), /of a free bit rate/],
    [
      'an ID3 tag and nothing behind it',
      Buffer.from('ID3\x04\0\0\0\0\0\x02\0\0', 'latin1'),
      /holds nothing but tags/,
    ],
    [
      'an ID3 tag that breaks off',
      Buffer.from('ID3\x04\0\0\0\0\x02\0\0\0', 'latin1'),
      /ends within its ID3 tag/,
    ],
    ['Ogg of speech', Buffer.from(`${'OggS\0\x02'.padEnd(26, 'a')}\x01\x1eSpeex   `), /Speex/],
    ['an Ogg of two streams', oggOfTwo(), /a second stream in the Ogg file/],
    ['M4A of its first bytes', Buffer.from('\0\0\0\x20ftypM4A \0\0\x02\0'), /cut short/],
    ['M4A without an index', Buffer.from('\0\0\0\x08ftyp\0\0\0\x08mdat'), /without moov/],
    ['M4A without tracks', emptyMp4(), /of the tracks: none; expected one, of audio/],
    [
      'an HLS playlist',
      Buffer.from('#EXTM3U\n#EXTINF:1\nfile:///etc/passwd\n'),
      /HLS or M3U playlist/,
    ],
    [
      'an ffconcat script',
      Buffer.from("ffconcat version 1.0\nfile '/etc/passwd'\n"),
      /ffconcat/,
    ],
    [
      'what macOS leaves beside a file',
      Buffer.from('00051607000200004d6163204f532058', 'hex'),
      /byte 0: looks like AppleDouble, the companion file that macOS leaves beside a file/,
    ],
    [
      'an MP4 of nothing but boxes',
      Buffer.concat([
        Buffer.from('0000001066747970', 'hex'),
        Buffer.alloc(8),
        ...Array.from({ length: 1200 }, () => Buffer.from('0000000866726565', 'hex')),
      ]),
      /an MP4 file of more than 1000 boxes; expected moov \(its index\)/,
    ],
    ['AAC in LATM', Buffer.from('56e00220aa56e002bb', 'hex'), /looks like AAC in LATM/],
    ['a RAR archive', Buffer.from('Rar!\x1a\x07\0'.padEnd(40)), /looks like a RAR archive/],
    ['text', Buffer.from('hello, I am a master, honest'), /byte 0: looks like text; expected/],
    ['HTML', Buffer.from('<html><body>404</body></html>'), /HTML/],
    ['an AVI', Buffer.from('RIFF\0\0\0\x04AVI LIST'), /byte 8: a RIFF file of the form "AVI "/],
    [
      'an IFF picture',
      Buffer.from('FORM\0\0\0\x04ILBMBMHD'),
      /byte 8: an IFF file of the form "ILBM"/,
    ],
    [
      'no format',
      Buffer.concat([good.subarray(0, 12), chunk('data', Buffer.alloc(8))]),
      /no "fmt " chunk/,
    ],
    ['no samples chunk', good.subarray(0, 36), /no "data" chunk/],
    ['no samples', wav([new Float64Array(0)]), /byte 44: the master holds no samples/],
    [
      'no samples, and a chunk behind',
      Buffer.concat([
        wav([new Float64Array(0)], { riffSize: 108 }),
        chunk('LIST', Buffer.alloc(64)),
      ]),
      /no samples/,
    ],
    ['half a sample', good.subarray(0, 47), /no samples/],
    ['only a header that claims more', good.subarray(0, 44), /no samples/],
    ['AC-3 in WAV', patched(good, 20, 0x2000), /byte 20: .*0x2000 \(AC-3\).*expected PCM/],
    [
      'MP3 in WAV that is none',
      patched(good, 20, 0x55),
      /byte 44: no MP3 where the header says/,
    ],
    ['0 channels', patched(good, 22, 0), /0 channels/],
    ['40 channels', patched(patched(good, 22, 40), 32, 80), /40 channels; expected 1 to 8/],
    ['a rate of 0', patched(good, 24, 0), /a rate of 0 Hz/],
    [
      'an unknown subformat',
      patched(wav(stereo, { mask: 3 }), 46, 0xdead),
      /unknown subformat/,
    ],
    [
      'a short format chunk',
      Buffer.concat([
        good.subarray(0, 12),
        chunk('fmt ', good.subarray(20, 32)),
        good.subarray(36),
      ]),
      /12 bytes; expected 16/,
    ],
    [
      'a chunk beyond the end',
      wav(stereo, { before: [chunk('junk', Buffer.alloc(4), 99_999)] }),
      /byte 40: the chunk "junk" claims 99999 bytes/,
    ],
    [
      'chunks without end',
      Buffer.concat([
        good.subarray(0, 36),
        ...Array.from({ length: 1500 }, () => chunk('junk', Buffer.alloc(0))),
      ]),
      /more than 1000 chunks/,
    ],
    ['AIFF-C of a codec', aiff(stereo, { compression: 'QDMC' }), /compressed as "QDMC"/],
    [
      'AIFF without COMM',
      Buffer.concat([aiff(stereo).subarray(0, 12), aiff(stereo).subarray(38)]),
      /no "COMM" chunk/,
    ],
    ['FLAC of its first bytes', flacFile.subarray(0, 20), /STREAMINFO is cut off/],
    [
      'FLAC without frames',
      flacFile.subarray(0, 60),
      /byte \d+: the file ends within the metadata/,
    ],
    ['FLAC with another block first', patched(flacFile, 4, 1), /expected STREAMINFO/],
  ]
  for (const [title, file, says] of cases) {
    const error = await readHeader(ranges(file)).catch((thrown: unknown) => thrown)
    t.ok(error instanceof PermanentError, title)
    t.match(error, { code: 'MASTER_UNREADABLE', message: says, at: /^byte \d+$/ }, title)
  }
})

t.test(
  'any damage to a header is a verdict or a layout within the file, never a crash',
  async (t) => {
    const music = wav([sine(4410, 440)])
    const files = [
      ...(await codedAs(music, [
        ['a.m4a', []],
        ['a.mp3', []],
        ['a.ogg', ['-c:a', 'libvorbis']],
        ['a.wav', ['-c:a', 'adpcm_ms']],
        ['a.aifc', ['-c:a', 'adpcm_ima_qt']],
      ])),
      wav(stereo),
      wav(stereo, { mask: 3 }),
      aiff(stereo),
      wav(stereo, { rf64: true }),
      await flac(wav(stereo)),
    ]
    const outside: string[] = []
    for (const file of files) {
      for (let at = 0; at < Math.min(file.length, 100); at++) {
        for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
          const damaged = Buffer.from(file)
          damaged[at] = value
          const layout = await readHeader(ranges(damaged)).catch((error: unknown) => {
            if (!(error instanceof PermanentError)) throw error
          })
          for (const piece of layout?.kind === 'coded' ? layout.feed : []) {
            if ('end' in piece && piece.end > file.length) outside.push(`byte ${at} = ${value}`)
          }
          if (layout?.kind === 'pcm') {
            const end = layout.offset + layout.samples * layout.channels * (layout.bits / 8)
            if (end > file.length) outside.push(`byte ${at} = ${value}: samples to ${end}`)
          }
        }
      }
    }
    t.same(outside, [])
  },
)

t.test('a long master is never read whole', async (t) => {
  const head = wav(stereo, { dataSize: 3_000_000_000 })
  let read = 0
  const layout = await readHeader({
    bytes: 3_000_000_044,
    read: async (start, end) => {
      read += end - start
      const bytes = new Uint8Array(end - start)
      bytes.set(head.subarray(start, end))
      return bytes
    },
  })
  t.match(layout, { kind: 'pcm', samples: 750_000_000 })
  // It is silent, so that fifteen other places are read, too.
  t.ok(read <= 330_000, `${read} bytes`)
})

t.test('only 16-bit 44.1 kHz stereo PCM is conformant', async (t) => {
  const of = async (file: Buffer) => isConformant((await readHeader(ranges(file))) as Layout)
  t.ok(await of(wav(stereo)))
  t.ok(await of(wav(stereo, { rf64: true })))
  t.ok(await of(aiff(stereo)))
  t.notOk(await of(wav(stereo, { bits: 24 })))
  t.notOk(await of(wav(stereo, { rate: 48_000 })))
  t.notOk(await of(wav([tone])))
  t.notOk(await of(await flac(wav(stereo))))
})

t.test('a layout can be said in words', async (t) => {
  const said = async (file: Buffer) =>
    describeLayout((await readHeader(ranges(file))) as Layout)
  t.equal(await said(wav(stereo, { bits: 24, rate: 48_000 })), 'WAV 24-bit 48000 Hz 2 channels')
  t.equal(
    await said(wav([tone], { bits: 32, float: true })),
    'WAV 32-bit float 44100 Hz 1 channel',
  )
})

function ranges(file: Buffer): ByteRanges {
  return { bytes: file.length, read: async (start, end) => file.subarray(start, end) }
}

function patched(file: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(file)
  if (value > 0xff || at % 2 === 0) copy.writeUInt16LE(value, at)
  if (at === 24) copy.writeUInt32LE(value, at)
  if (at === 4) copy.writeUInt8(value, at)
  return copy
}

/** A WAV with the data chunk first, which is unusual but allowed. */
function formatLast(): Buffer {
  const file = wav(stereo)
  return Buffer.concat([file.subarray(0, 12), file.subarray(36), file.subarray(12, 36)])
}

function oggOfTwo(): Buffer {
  const page = Buffer.concat([
    Buffer.from(`${'OggS\0\x02'.padEnd(26, '\0')}\x01\x1e`, 'latin1'),
    Buffer.from('\x01vorbis'.padEnd(30, '\0'), 'latin1'),
  ])
  const other = Buffer.from(page)
  other.write('other', 14)
  return Buffer.concat([page, other])
}

function emptyMp4(): Buffer {
  const box = (type: string) => Buffer.from(`\0\0\0\x08${type}`, 'latin1')
  return Buffer.concat([box('ftyp'), box('moov'), box('mdat')])
}
