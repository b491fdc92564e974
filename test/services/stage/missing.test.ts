import t from 'tap'
import { type MpegFrame, mpegFrame } from '../../../services/stage/formats/mpeg/frame.ts'
import { mpegFrames } from '../../../services/stage/formats/mpeg/frames.ts'
import { noFramesSeen } from '../../../services/stage/formats/mpeg/frames-seen.ts'
import { survey } from '../../../services/stage/formats/survey.ts'
import { aiff, chunk, coded, codedAs, flac, wav } from '../../support/audio.ts'
import { over, put } from '../../support/masters/damaged.ts'
import { bytesOf, soon, stage } from '../../support/stage.ts'
import { club, noise, RATE } from '../../support/synth.ts'

const music = wav(club(1.5 * RATE))
const BARE = ['-id3v2_version', '0'] as const
const fragment = (flags: string) => [
  ...['-movflags', `frag_keyframe+${flags}`],
  ...['-frag_duration', '300000'],
]
const [mp3, loud, vbr, tagless, mp2, aac, m4a, fragmented, segmented, alac] = (await codedAs(
  music,
  [
    ['a.mp3', ['-b:a', '128k', ...BARE]],
    ['b.mp3', ['-b:a', '320k', ...BARE]],
    ['c.mp3', ['-q:a', '3', ...BARE]],
    ['d.mp3', ['-write_xing', '0', ...BARE]],
    ['a.mp2', []],
    ['a.aac', []],
    ['a.m4a', ['-movflags', 'faststart']],
    ['b.m4a', fragment('empty_moov+default_base_moof')],
    ['c.m4a', fragment('delay_moov+dash+global_sidx')],
    ['d.m4a', ['-c:a', 'alac']],
  ],
)) as [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer, Buffer, Buffer, Buffer, Buffer]

const random = Buffer.from(noise(4000, { seed: 9 }).map((x) => x * 250))
const zeros = Buffer.alloc(4000)
const join = (...pieces: Uint8Array[]) => Buffer.concat(pieces)
/** A file with these bytes overwritten in the middle. */
const hit = (file: Buffer, bytes: Buffer, n: number) =>
  over(file, Math.floor(file.length * 0.55), bytes.subarray(0, n))

const touched = over(loud, half(loud) + 500, zeros.subarray(0, 50))

async function codes(master: Buffer): Promise<readonly string[]> {
  return [...new Set((await stage(master)).warnings.map(({ code }) => code))]
}

t.test('what is overwritten within a master is said', async (t) => {
  const masters = { mp3, vbr, tagless, mp2, aac, m4a, alac, fragmented }
  for (const [what, file] of Object.entries(masters)) {
    t.same(await codes(file), [], `${what} as it was made`)
    for (const [how, bytes] of Object.entries({ random, zeros })) {
      t.same(await codes(hit(file, bytes, 3000)), ['DAMAGED'], `3,000 bytes of ${what}: ${how}`)
    }
  }
  t.same(await codes(hit(vbr, random, 1000)), ['DAMAGED'])
  // Within a frame, whose header and neighbours are as they were: the encoder's checksum tells.
  t.same(await codes(touched), ['DAMAGED'])
  t.same(await codes(hit(m4a, zeros, 50)), ['DAMAGED'])
  const [damage] = (await stage(hit(vbr, random, 2500))).warnings
  t.match(damage?.sentence, /the MP3 is damaged: 2\d\d\d bytes at byte \d+ \(second 0\.\d+\)/)
})

t.test('a frame that is missing at the end is said', async (t) => {
  const most = (file: Buffer) => file.subarray(0, Math.floor(file.length * 0.63))
  for (const [what, file] of Object.entries({ mp3, vbr, tagless, mp2, aac })) {
    t.same(await codes(file.subarray(0, -20)), ['CUT_SHORT'], `${what} without 20 bytes`)
    t.same(await codes(most(file)), ['CUT_SHORT'], `most of ${what}`)
  }
  // Whole frames: nothing but the tag tells.
  const [cut] = (await stage(mp3.subarray(0, -418))).warnings
  t.match(cut, { code: 'CUT_SHORT', promised_seconds: 1.5 })
  const { warnings } = await stage(most(aac))
  t.match(warnings, [{ code: 'CUT_SHORT', sentence: /ends within a frame, and 0\.\d+ s/ }])
  t.notMatch(warnings, [{ promised_seconds: Number }], 'nothing is promised')
})

t.test('filling is nothing, and what fills the place of frames is', async (t) => {
  const id3v1 = Buffer.from('TAG'.padEnd(128, 'x'))
  const enhanced = Buffer.from('TAG+'.padEnd(227, 'x'))
  const id3 = Buffer.from('ID3\x04\0\0\0\0\x02\x00'.padEnd(10 + 256, 'x'), 'latin1')
  const middle = half(tagless)
  for (const [what, master] of [
    ['tags of all kinds behind', join(tagless, enhanced, id3v1, id3, zeros)],
    ['less than a frame behind', join(tagless, random.subarray(0, 300))],
    ['a tag between frames', join(tagless.subarray(0, middle), id3, tagless.subarray(middle))],
    ['junk behind all frames of a tag', join(mp3, random)],
  ] as const) {
    t.same(await codes(master), [], what)
  }
  t.same(await codes(tagless.subarray(600)), ['CUT_SHORT'], 'a start within a frame')
  for (const [what, master] of [
    ['junk behind frames that nobody counted', join(tagless, random)],
    [
      'zeros between frames',
      join(tagless.subarray(0, middle), zeros, tagless.subarray(middle)),
    ],
  ] as const) {
    t.same(await codes(master), ['DAMAGED'], what)
  }
  const regained = join(touched, apeTag('MP3GAIN_MINMAX'), id3v1)
  t.same(await codes(regained), [], 'gain that was changed after the checksum was written')
})

/** The warnings from the header and from what follows it, without a conversion. */
async function headerCodes(master: Buffer): Promise<readonly string[]> {
  const { warnings = [] } = await survey(bytesOf(master), soon())
  return warnings.map(({ code }) => code)
}

/** Where a frame of a constant bit rate begins, in the middle. */
function half(file: Buffer): number {
  let at = 0
  while (at < file.length / 2) at += mpegFrame(file, at)?.bytes ?? 1
  return at
}

function apeTag(key: string): Buffer {
  const item = Buffer.from(`\x07\0\0\0\0\0\0\0${key}\x00001,200`, 'latin1')
  const footer = Buffer.concat([Buffer.from('APETAGEX'), Buffer.alloc(24)])
  footer.writeUInt32LE(2000, 8)
  footer.writeUInt32LE(item.length + 32, 12)
  footer.writeUInt32LE(1, 16)
  const header = Buffer.from(footer)
  header.writeUInt32LE(0xa000_0000, 20)
  footer.writeUInt32LE(0x8000_0000, 20)
  return Buffer.concat([header, item, footer])
}

t.test(
  'an MP3 whose tag does not count them misses frames by what others take of them',
  async (t) => {
    const frames: Buffer[] = []
    for (let at = 0; at < tagless.length; at += frames.at(-1)?.length ?? 1)
      frames.push(tagless.subarray(at, at + (mpegFrame(tagless, at)?.bytes ?? 1)))
    const first = mpegFrame(tagless, 0) as MpegFrame
    const overlaps = async (master: Buffer) => {
      const seen = noFramesSeen()
      async function* whole() {
        yield master
      }
      for await (const _ of mpegFrames(whole(), first, { seen }));
      return seen.reservoir.overlaps
    }
    const overlapping: Buffer[] = []
    for (let gone = 10; gone < 30; gone++) {
      const master = join(...frames.toSpliced(gone, 1))
      if ((await overlaps(master)) > 0) overlapping.push(master)
    }
    t.ok(overlapping.length > 5, `${overlapping.length} of 20`)
    t.match((await stage(overlapping[0] as Buffer)).warnings, [
      {
        code: 'DAMAGED',
        sentence: /frames are missing or wrong at second 0\.\d+: what stands/,
      },
    ])
    for (const [what, master] of Object.entries({
      ...{ tagless, joined: join(tagless, tagless), later: join(...frames.slice(7)) },
      ...{
        mp3,
        vbr,
        loud,
        tagged: join(...frames.slice(0, 20), apeTag('X'), ...frames.slice(20)),
      },
    })) {
      t.equal(await overlaps(master), 0, what)
    }
    const replaced = join(...frames.slice(0, 20), apeTag('X'), ...frames.slice(25))
    t.equal(await overlaps(replaced), 1, 'a tag in the place of frames')
  },
)

t.test('another master behind is said to be left out', async (t) => {
  const lossless = await flac(music)
  const tag = Buffer.from('ID3\x04\0\0\0\0\0\x05xxxxx', 'latin1')
  const id3v1 = Buffer.from('TAG'.padEnd(128, 'x'))
  const [tagged, listed, inWav] = (await codedAs(music, [
    ['d.mp3', []],
    ['a.wav', []],
    ['b.wav', ['-c:a', 'mp3']],
  ])) as [Buffer, Buffer, Buffer]
  const iff = aiff(club(RATE))
  for (const [what, master] of [
    ['MP3, M4A', join(mp3, m4a)],
    ['MP3, WAV', join(mp3, music)],
    ['MP3, tag, zeros, FLAC', join(tagless, tag, zeros, lossless)],
    ['AAC, M4A', join(aac, m4a)],
    ['MP3, WAV, MP3', join(tagless, music, tagless)],
    ['M4A in fragments, M4A', join(fragmented, m4a)],
    ['M4A in fragments, MP3', join(fragmented, mp3)],
  ] as const) {
    t.same(await codes(master), ['MORE_FOLLOWS'], what)
  }
  const longer = put(join(music.subarray(0, 44), zeros, tagless), 40, 'u32', zeros.length)
  for (const [what, master] of [
    ['M4A, M4A', join(m4a, m4a)],
    ['M4A, zeros, MP3', join(m4a, zeros, tagged)],
    ['M4A with its index behind, WAV', join(alac, music)],
    ['FLAC, WAV', join(lossless, music)],
    ['FLAC, MP3', join(lossless, mp3)],
    ['WAV, MP3', join(music, mp3)],
    ['WAV, MP3 that is longer', longer],
    ['WAV with a chunk behind, MP3', join(listed, chunk('LIST', zeros), tagged)],
    ['WAV, FLAC', join(music, lossless)],
    ['AIFF, MP3', join(iff, tagged)],
    ['AIFF, M4A', join(iff, m4a)],
    ['WAV of MP3, M4A', join(inWav, m4a)],
  ] as const) {
    t.same(await headerCodes(master), ['MORE_FOLLOWS'], what)
  }
  for (const [what, file] of Object.entries({ m4a, alac, lossless, music, iff, inWav })) {
    t.same(await headerCodes(join(file, tag, zeros, id3v1)), [], `${what}, tags and zeros`)
    t.same(await headerCodes(join(file, id3v1)), [], `${what}, a tag`)
  }
  t.same(await codes(join(fragmented, tag, zeros, id3v1)), [], 'fragments, tags and zeros')
})

t.test('what is noticed does not depend on the pieces that come', async (t) => {
  const master = join(
    hit(mp3, random, 2500),
    Buffer.from('ID3\x04\0\0\0\0\0\x05xxxxx'),
    zeros,
    m4a,
  )
  const first = mpegFrame(mp3, 0)
  if (first === undefined) throw new Error('no frame')
  const seenBy = async (size: number) => {
    async function* pieces() {
      for (let at = 0; at < master.length; at += size) yield master.subarray(at, at + size)
    }
    const seen = noFramesSeen()
    for await (const _ of mpegFrames(pieces(), first, { seen }));
    return seen
  }
  const whole = await seenBy(master.length)
  t.match(whole, { lostPlaces: 1, other: { name: 'MP4' } })
  for (const size of [997, 4096, 30_011]) t.same(await seenBy(size), whole, `pieces of ${size}`)
})

t.test('an M4A that is cut short is taken as far as it goes, and that is said', async (t) => {
  const [cut] = (await stage(m4a.subarray(0, m4a.length * 0.7))).warnings
  t.match(cut, { code: 'CUT_SHORT', promised_seconds: 1.5 })
  t.ok(Math.abs((cut?.present_seconds ?? 0) - 1) < 0.15, `${cut?.present_seconds}`)
  t.same(await codes(m4a.subarray(0, -1)), ['CUT_SHORT'], 'a byte')
  const { samples, warnings } = await stage(fragmented.subarray(0, fragmented.length * 0.6))
  t.match(warnings, [
    { code: 'CUT_SHORT', sentence: /within a fragment, and 0\.\d+ s are there/ },
  ])
  t.ok(samples > 0.6 * RATE && samples < RATE, `${samples}`)
  t.same(await codes(segmented), [], 'with an index of segments')
  const next = segmented.indexOf('moof', segmented.length / 2) - 4
  t.same(await codes(segmented.subarray(0, next)), ['CUT_SHORT'], 'between fragments')
  const claims = put(m4a, m4a.indexOf('mdat') - 4, 'u32be', m4a.length)
  t.same(await codes(claims), ['HEADER_CONTRADICTS'], 'all packets are there')
})

t.test('a fragment that can not be found is said', async (t) => {
  const at = fragmented.indexOf('moof', fragmented.length / 2) - 4
  for (const [how, bytes] of Object.entries({ random, zeros })) {
    t.ok(
      (await codes(over(fragmented, at - 50, bytes.subarray(0, 1500)))).includes('DAMAGED'),
      how,
    )
  }
})

t.test('fragments that are not there are missed by those that are', async (t) => {
  const without = (file: Buffer, ...gone: number[]) =>
    withFragments(file, (all) => all.filter((_, n) => !gone.includes(n)))
  t.ok(without(fragmented).equals(fragmented))
  const { warnings } = await stage(without(fragmented, 2))
  t.match(warnings, [
    { code: 'DAMAGED', sentence: /between its fragments 0\.\d+ s are missing/ },
  ])
  t.same(await codes(without(fragmented, 1, 2)), ['DAMAGED'], 'two')
  t.same(await codes(without(segmented, 2)), ['DAMAGED'], 'of those that an index counts')
  const late = without(fragmented, 0)
  t.match((await stage(late)).warnings, [
    { code: 'DAMAGED', sentence: /its first fragments are missing, 0\.\d+ s/ },
  ])
  const counted = withFragments(late, (all) =>
    all.map((each, n) => put(each, each.indexOf('mfhd') + 8, 'u32be', n + 1)),
  )
  t.same(await codes(counted), [], 'recorded from its middle on')
})

t.test('fragments that come twice or out of turn are said to', async (t) => {
  for (const [file, name] of [
    [fragmented, 'fragments'],
    [segmented, 'with an index of segments'],
    [
      await coded('e.m4a', music, fragment('empty_moov')),
      'whose packets are found from the beginning of the file',
    ],
  ] as const) {
    for (const [how, order] of [
      ['twice', [0, 1, 2, 2, 3]],
      ['swapped', [0, 2, 1, 3]],
      ['the last first', [3, 0, 1, 2]],
    ] as const) {
      const master = withFragments(file, (all) => [
        ...order.map((n) => all[n] as Buffer),
        ...all.slice(4),
      ])
      const found = await warningsOf(master)
      const said = found.map(({ sentence }) => sentence).join('; ')
      t.ok(
        found.every(({ code }) => code === 'DAMAGED' || code === 'UNREADABLE'),
        said,
      )
      t.match(said, /twice or out of turn|can (not )?be decoded/, `${name}, ${how}`)
      t.notMatch(said, /missing|cut short/, `${name}, ${how}`)
    }
  }
  const joined = await stage(join(fragmented, fragmented))
  t.match(joined.warnings, [{ code: 'MORE_FOLLOWS', sentence: /whose time begins anew/ }])
  t.equal(joined.warnings.length, 1)
})

/** The warnings about a master, or the error if it is refused. */
async function warningsOf(master: Buffer) {
  try {
    return (await stage(master)).warnings
  } catch (error) {
    return [{ code: 'UNREADABLE', sentence: (error as Error).message }]
  }
}

/** An M4A with other fragments behind its index. */
function withFragments(file: Buffer, change: (all: Buffer[]) => Buffer[]): Buffer {
  const starts: number[] = []
  for (let at = file.indexOf('moof'); at >= 0; at = file.indexOf('moof', at + 4))
    starts.push(at - 4)
  if (starts.length < 4) throw new Error('too few fragments')
  const all = starts.map((start, n) => file.subarray(start, starts[n + 1]))
  return join(file.subarray(0, starts[0]), ...change(all))
}

t.test('an index that places packets where there are none is said', async (t) => {
  const indexed = await coded('c.m4a', music)
  const moved = (change: (places: number[]) => void) => withChunks(indexed, change)
  t.same(await codes(moved(() => {})), [], 'as it was')
  for (const [what, change] of [
    ['beyond the end', (places) => places.splice(3, 1, 0xffff_fff0)],
    ['twice', (places) => places.splice(3, 1, places[2] ?? 0)],
    ['not in order', (places) => places.splice(2, 2, places[3] ?? 0, places[2] ?? 0)],
  ] as [string, (places: number[]) => void][]) {
    const found = await codes(moved(change))
    t.ok(found.length > 0 && found.every((code) => code === 'DAMAGED'), `${what}: ${found}`)
  }
  t.same(
    await codes(moved((places) => places.splice(-1, 1, 0xffff_fff0))),
    ['CUT_SHORT'],
    'the last beyond the end',
  )
  const stsz = indexed.lastIndexOf('stsz')
  const last = stsz + 12 + 4 * indexed.readUInt32BE(stsz + 12)
  const empty = put(indexed, last, 'u32be', 0)
  t.same(await codes(empty), ['DAMAGED'], 'a packet without bytes')
})

t.test('what an index says against itself is said once', async (t) => {
  const table = m4a.indexOf('stts')
  for (const [what, at, factor] of [
    ['half as many packets', 12, 0.5],
    ['packets of half the length', 16, 0.5],
    ['packets of twice the length', 16, 2],
  ] as const) {
    const value = Math.floor(m4a.readUInt32BE(table + at) * factor)
    const { warnings } = await stage(put(m4a, table + at, 'u32be', value))
    t.match(warnings, [
      {
        code: 'HEADER_CONTRADICTS',
        sentence: /its header says 1\.5\d+ s, and its sample table/,
      },
    ])
    t.equal(warnings.length, 1, what)
  }
})

/** An M4A with its index behind, whose packets lie in chunks of ten; `change` changes where they lie. */
function withChunks(file: Buffer, change: (places: number[]) => void): Buffer {
  const [stsz, stco] = [file.lastIndexOf('stsz'), file.lastIndexOf('stco')]
  const count = file.readUInt32BE(stsz + 12)
  const places: number[] = []
  for (let i = 0, at = file.readUInt32BE(stco + 12); i < count; i++) {
    if (i % 10 === 0) places.push(at)
    at += file.readUInt32BE(stsz + 16 + 4 * i)
  }
  change(places)
  const words = (...values: number[]) => {
    const bytes = Buffer.alloc(4 * values.length)
    for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i)
    return bytes
  }
  const box = (type: string, body: Buffer) =>
    Buffer.concat([words(body.length + 8), Buffer.from(type), body])
  let made = file
  for (const table of [
    box('stsc', words(0, 2, 1, 10, 1, places.length, count % 10 || 10, 1)),
    box('stco', words(0, places.length, ...places)),
  ]) {
    const at = made.lastIndexOf(table.toString('latin1', 4, 8)) - 4
    const size = made.readUInt32BE(at)
    made = Buffer.concat([made.subarray(0, at), table, made.subarray(at + size)])
    for (const type of ['moov', 'trak', 'mdia', 'minf', 'stbl']) {
      const parent = made.lastIndexOf(type) - 4
      made.writeUInt32BE(made.readUInt32BE(parent) + table.length - size, parent)
    }
  }
  return made
}
