import t from 'tap'
import { mpegFrame } from '../../../services/stage/formats/mpeg/frame.ts'
import { mpegFrames } from '../../../services/stage/formats/mpeg/frames.ts'
import { overlongMpeg } from '../../../services/stage/formats/mpeg/length.ts'
import { survey } from '../../../services/stage/formats/survey.ts'
import { coded, codedAs, wav } from '../../support/audio.ts'
import { cutShort, put } from '../../support/masters/damaged.ts'
import { bytesOf, soon, stage } from '../../support/stage.ts'
import { noise, RATE, sine } from '../../support/synth.ts'

const music = (seconds: number, rate = RATE) =>
  wav([sine(seconds * rate, 440, { rate }), noise(seconds * rate)], { rate })
const BARE = ['-id3v2_version', '0'] as const
const [mp3, vbr, tagless, aac] = (await codedAs(music(1), [
  ['a.mp3', ['-b:a', '128k', ...BARE]],
  ['b.mp3', ['-q:a', '4', ...BARE]],
  ['c.mp3', ['-b:a', '128k', ...BARE, '-write_xing', '0']],
  ['a.aac', []],
])) as [Buffer, Buffer, Buffer, Buffer]
const louder = await coded('b.mp3', music(2), ['-b:a', '320k', ...BARE])

function id3(bytes: number, claims = bytes): Buffer {
  const size = [21, 14, 7, 0].map((bits) => (claims >> bits) & 0x7f)
  const head = Buffer.from(`ID3\x04\0\0${String.fromCharCode(...size)}`, 'latin1')
  // A picture may look like frames here and there.
  return Buffer.concat([head, Buffer.alloc(bytes, Buffer.from('fffb9064aa', 'hex'))])
}

function ape(bytes: number): Buffer {
  const edge = (flags: number) => {
    const head = Buffer.concat([Buffer.from('APETAGEX'), Buffer.alloc(24)])
    const sized = put(put(head, 8, 'u32', 2000), 12, 'u32', bytes + 32)
    return put(put(sized, 16, 'u32', 1), 20, 'u32', flags)
  }
  return Buffer.concat([edge(0xa000_0000), Buffer.alloc(bytes, 'x'), edge(0x8000_0000)])
}

const id3v1 = Buffer.from('TAG'.padEnd(128, 'x'))
const join = (...pieces: (Buffer | string)[]) =>
  Buffer.concat(pieces.map((x) => Buffer.from(x)))

async function outcome(master: Buffer) {
  const { samples, warnings } = await stage(master)
  return { samples, codes: warnings.map(({ code }) => code) }
}

t.test(
  'files that were joined are taken whole, and the tag of the first one is not believed',
  async (t) => {
    // Whole frames of what follows, with the encoder's delay and padding; its own tag is no music.
    const frames = (samples: number) => Math.ceil((samples + 1105) / 1152) * 1152
    const two = frames(RATE) + frames(2 * RATE) - 1105
    const cases: readonly (readonly [string, Buffer, number])[] = [
      ['two', join(mp3, mp3), 2 * frames(RATE) - 1105],
      ['of different bit rates', join(mp3, louder), two],
      ['three, one of a variable bit rate', join(mp3, louder, vbr), two + frames(RATE)],
      [
        'with tags between',
        join(id3(999), mp3, id3v1, id3(50_000), louder, ape(300), id3v1),
        two,
      ],
      ['with zeros between', join(mp3, Buffer.alloc(20_000), louder), two],
    ]
    for (const [what, master, samples] of cases) {
      const got = await outcome(master)
      t.ok(Math.abs(got.samples - samples) <= 1152, `${what}: ${got.samples}, not ${samples}`)
      t.same(got.codes, ['HEADER_CONTRADICTS'], what)
    }
    const rates = join(mp3, await coded('d.mp3', music(1, 48_000), [...BARE]))
    await t.rejects(stage(rates), {
      code: 'MASTER_UNREADABLE',
      message:
        /^the MP3 stream changes at byte \d+: from MP3 of 44100 Hz, 2 channels to MP3 of 48000 Hz, 2 channels/,
    })
  },
)

t.test(
  'where MP3s are joined there is no click and no silence of a tag that was decoded',
  async (t) => {
    const tone = wav([sine(RATE, 441)])
    const file = await coded('a.mp3', tone, ['-b:a', '128k', ...BARE])
    const { left, samples } = await stage(join(file, file))
    let silent = 0
    let longest = 0
    for (let i = 0; i < samples - 2000; i++) {
      silent = Math.abs(left[i] ?? 0) < 40 ? silent + 1 : 0
      longest = Math.max(longest, silent)
    }
    // Padding and delay of the encoder together, without the 1,152 samples of a tag.
    t.ok(longest < 2300, `${longest} samples of silence`)
  },
)

t.test('exactly the samples that were encoded, whatever lies around the frames', async (t) => {
  const cases: readonly (readonly [string, Buffer])[] = [
    ['two ID3 tags', join(id3(4000), id3(300), mp3)],
    ['a tag that says too little of itself', join(id3(5000, 5), mp3)],
    ['a tag that says too much', join(id3(5000, 100_000_000), mp3)],
    ['zeros', join(Buffer.alloc(3000), mp3)],
    ['zeros behind a tag', join(id3(100), Buffer.alloc(70_000), mp3)],
    ['blanks', join(' '.repeat(3000), mp3)],
    ['an APE tag', join(ape(700), mp3)],
    ['an APE tag behind an ID3 tag', join(id3(100), ape(700), mp3)],
    ['something unknown', join(noiseBytes(9000), mp3)],
    ['tags behind', join(mp3, ape(500), 'LYRICSBEGIN000020LYRICS200', id3v1)],
  ]
  for (const [what, master] of cases) {
    t.same(await outcome(master), { samples: RATE, codes: [] }, what)
  }
  for (const [what, master] of [
    ['a start within a frame', mp3.subarray(600)],
    ['a start within a frame, behind a tag', join(id3(100), mp3.subarray(600))],
  ] as const) {
    const { samples } = await outcome(master)
    t.ok(Math.abs(samples - RATE) <= 1152, `${what}: ${samples}`)
  }
})

t.test('ADTS comes through whole with tags between its frames, and joined', async (t) => {
  const { samples } = await stage(aac)
  for (const [what, master, times] of [
    ['a tag first', join(id3(300), aac), 1],
    ['two tags, zeros', join(id3(300), id3(20), Buffer.alloc(99), aac), 1],
    ['tags between', join(id3(73), aac, id3(73), aac, id3(73), id3v1), 2],
    ['joined', join(aac, aac, aac), 3],
  ] as const) {
    t.equal((await stage(master)).samples, times * samples, what)
  }
})

t.test('a tag promises, and the frames count', async (t) => {
  const tag = Math.max(mp3.indexOf('Info'), mp3.indexOf('Xing'))
  const frames = mp3.readUInt32BE(tag + 8)
  const saying = (count: number) => put(mp3, tag + 8, 'u32be', count)
  t.same(await outcome(saying(frames >> 2)), { samples: RATE, codes: ['HEADER_CONTRADICTS'] })
  t.same(await outcome(saying(frames * 4)), { samples: RATE, codes: ['CUT_SHORT'] })
  t.same(
    await outcome(saying(1)),
    { samples: RATE, codes: [] },
    'a length of few bytes is none',
  )
  const cut = await outcome(cutShort(louder))
  t.same(cut.codes, ['CUT_SHORT'])
  t.ok(Math.abs(cut.samples - (4 / 3) * RATE) < 3000, `${cut.samples}`)
})

t.test(
  'of anything at all whole frames come out, and it takes time in proportion',
  async (t) => {
    const first = mpegFrame(mp3, 0)
    if (first === undefined) throw new Error('no frame')
    const sifted = async (master: Buffer, size: number) => {
      const found: Uint8Array[] = []
      async function* pieces() {
        for (let at = 0; at < master.length; at += size) yield master.subarray(at, at + size)
      }
      for await (const run of mpegFrames(pieces(), first)) found.push(Uint8Array.from(run))
      return Buffer.concat(found)
    }
    const dirty = join(
      mp3.subarray(0, 5000),
      noiseBytes(40_000),
      mp3.subarray(5100),
      id3(60_000),
      mp3,
    )
    const whole = await sifted(dirty, dirty.length)
    for (const size of [997, 4096, 65_536]) {
      t.same(await sifted(dirty, size), whole, `in pieces of ${size}`)
    }
    for (let at = 0; at < whole.length; ) {
      const frame = mpegFrame(whole, at)
      if (frame === undefined) throw new Error(`no frame at ${at}`)
      at += frame.bytes
    }
  },
)

function noiseBytes(bytes: number): Buffer {
  return Buffer.from(noise(bytes, { seed: 5 }).map((x) => x * 250))
}

t.test('an MP3 whose first frames are missing is said to be cut short', async (t) => {
  const bare = tagless
  const starts = [...framesOf(bare)]
  t.same((await outcome(bare)).codes, [], 'whole')
  const without = (count: number) => bare.subarray(starts[count])
  const { warnings, samples } = await stage(without(9))
  t.match(warnings, [
    {
      code: 'CUT_SHORT',
      present_seconds: Math.round(samples / 44.1) / 1000,
      sentence: /cut short at its beginning: its first frame needs \d+ bytes of frames before/,
    },
  ])
  t.same((await outcome(join(id3(300), without(9)))).codes, ['CUT_SHORT'], 'behind a tag')
})

t.test('a tag among the frames costs no music, or what it costs is said', async (t) => {
  const bare = tagless
  const starts = [...framesOf(bare)]
  const { samples } = await outcome(bare)
  const at = (count: number) => starts[count] ?? 0
  const put = (what: Buffer, from: number, to = from) =>
    join(bare.subarray(0, at(from)), what, bare.subarray(at(to)))
  t.same(await outcome(put(id3(500), 20)), { samples, codes: [] }, 'put between two frames')
  for (const [what, filling] of [
    ['a tag', id3(407)],
    ['zeros', Buffer.alloc(417)],
    ['noise', noiseBytes(417)],
  ] as const)
    t.same((await outcome(put(filling, 20, 24))).codes, ['DAMAGED'], `${what} over frames`)
})

/** The positions of the frames. */
function* framesOf(stream: Buffer): Generator<number> {
  for (let at = 0; at < stream.length; ) {
    yield at
    at += mpegFrame(stream, at)?.bytes ?? stream.length
  }
}

t.test('frames are counted where there may be too many of them, and only there', async (t) => {
  const low = { rate: 8000 }
  const bare = [...BARE, '-write_xing', '0']
  const quiet = await coded('q.mp3', wav([sine(80_000, 300, low)], low), [
    '-b:a',
    '8k',
    ...bare,
  ])
  const loud = await coded('l.mp3', wav([sine(80_000, 300, low)], low), [
    '-b:a',
    '64k',
    ...bare,
  ])
  const seconds = async (master: Buffer, most: number) => {
    let streamed = 0
    const file = bytesOf(master)
    const layout = await survey(file, soon())
    if (layout.kind !== 'coded') throw new Error(layout.kind)
    const counted = {
      ...file,
      stream(start: number, end: number, signal: AbortSignal) {
        streamed++
        return file.stream(start, end, signal)
      },
    }
    return [await overlongMpeg(layout, counted, most, soon()), streamed]
  }
  const frames = Math.floor(quiet.length / 72)
  const many = Buffer.concat([quiet, id3(500), quiet, Buffer.alloc(5000), quiet, id3v1])
  t.same(await seconds(many, 20), [(3 * frames * 576) / 8000, 1])
  t.same(await seconds(many, 60), [undefined, 0])
  const mostly = Buffer.concat([quiet, loud, loud, loud])
  t.same(await seconds(mostly, 50), [undefined, 0], 'its first frames are not like the others')
  const tiny = Buffer.alloc(800_000, Buffer.from('fff15080011ffc00', 'hex'))
  const [found] = await seconds(Buffer.concat([aac, tiny]), 60)
  t.ok(Math.abs((found as number) - 100_000 * (1024 / RATE)) < 2, `${found} s`)
})
