import t from 'tap'
import { coded, codedAs, wav } from '../../support/audio.ts'
import { snr } from '../../support/decoded.ts'
import { put } from '../../support/masters/damaged.ts'
import { scaled, stage } from '../../support/stage.ts'
import { club, RATE } from '../../support/synth.ts'

const [left, right] = club(2 * RATE)
const music = wav([left, right])
const front = await coded('a.m4a', music, ['-b:a', '256k', '-movflags', 'faststart'])
const behind = await coded('b.m4a', music, ['-b:a', '256k'])

async function outcome(master: Buffer) {
  const { samples, left: got, warnings } = await stage(master)
  return { samples, got, codes: warnings.map(({ code }) => code) }
}

/** Whether the music begins where it should. */
function isInTime(got: Int16Array, lead = 0): boolean {
  return snr(scaled(left), got.subarray(lead), { from: 5000, to: 60_000 }) > 15
}

t.test('what lies around an M4A does not matter', async (t) => {
  const ape = Buffer.concat([Buffer.from('APETAGEX'), Buffer.alloc(300, 'x')])
  const id3 = Buffer.concat([Buffer.from('ID3\x04\0\0\0\0\x01\0', 'latin1'), Buffer.alloc(128)])
  for (const [what, master] of [
    ['index in front', front],
    ['index behind', behind],
    ['a tag behind the index', Buffer.concat([behind, ape])],
    ['a tag behind the samples', Buffer.concat([front, ape])],
    ['zeros behind', Buffer.concat([front, Buffer.alloc(5000)])],
    ['half a box behind', Buffer.concat([behind, Buffer.from('00ffffff6d6461', 'hex')])],
    ['a tag in front', Buffer.concat([id3, front])],
    ['a tag in front, index behind', Buffer.concat([id3, behind])],
    ['zeros in front', Buffer.concat([Buffer.alloc(50), front])],
  ] as const) {
    const { samples, got, codes } = await outcome(master)
    t.equal(samples, 2 * RATE, what)
    t.ok(isInTime(got), `${what}: in time`)
    t.same(codes, [], what)
  }
})

t.test('fragments begin in time', async (t) => {
  const formats = [
    'frag_keyframe+delay_moov+default_base_moof',
    'frag_keyframe+empty_moov+delay_moov',
    'frag_keyframe+delay_moov+dash',
  ].map((flags) => {
    const args = ['-b:a', '256k', '-movflags', flags, '-frag_duration', '300000']
    return ['a.m4a', args, flags] as const
  })
  const files = await codedAs(music, formats)
  for (const [n, [, , flags]] of formats.entries()) {
    const master = files[n] as Buffer
    const { samples, got, codes } = await outcome(master)
    t.ok(samples >= 2 * RATE && samples < 2 * RATE + 1024, `${flags}: ${samples}`)
    t.ok(isInTime(got), flags)
    t.same(codes, [])
    const tagged = await outcome(Buffer.concat([master, Buffer.alloc(99, 'x')]))
    t.equal(tagged.samples, samples, `${flags}, with something behind`)
  }
})

t.test('an empty edit is silence before the music', async (t) => {
  for (const flags of ['faststart', 'frag_keyframe+delay_moov+default_base_moof']) {
    const master = await coded('a.m4a', music, ['-b:a', '256k', '-movflags', flags])
    const { samples, got, codes } = await outcome(withEmptyEdit(master, 900))
    const lead = 0.9 * RATE
    t.ok(samples >= lead + 2 * RATE && samples < lead + 2 * RATE + 1024, `${samples}`)
    t.ok(
      got.subarray(0, lead - 1100).every((x) => x === 0),
      'silence',
    )
    t.ok(isInTime(got, lead), flags)
    t.same(codes, [], 'nothing contradicts')
  }
})

/** The list of edits has another entry in front, and no offsets that would have to follow: `elst` takes the room of `udta`. */
function withEmptyEdit(file: Buffer, ms: number): Buffer {
  const elst = file.indexOf('elst') - 4
  const entry = Buffer.concat([Buffer.alloc(4), Buffer.from('ffffffff00010000', 'hex')])
  entry.writeUInt32BE(ms, 0)
  const at = elst + 16
  let made = Buffer.concat([file.subarray(0, at), entry, file.subarray(at)])
  for (const box of ['elst', 'edts', 'trak', 'moov']) {
    const start = made.indexOf(box) - 4
    made.writeUInt32BE(made.readUInt32BE(start) + entry.length, start)
  }
  made.writeUInt32BE(2, elst + 12)
  // Twelve bytes of tags less, so that the samples lie where they lay.
  const udta = made.indexOf('udta') - 4
  const size = made.readUInt32BE(udta)
  made = Buffer.concat([made.subarray(0, udta + size - 12), made.subarray(udta + size)])
  for (const box of ['udta', 'moov']) {
    const start = made.indexOf(box) - 4
    made.writeUInt32BE(made.readUInt32BE(start) - 12, start)
  }
  return made
}

t.test('lengths that contradict the sample table lose to it, and are warned of', async (t) => {
  const at = (type: string) => front.indexOf(type) + 4
  const half = (type: string, offset: number) => {
    const place = at(type) + offset
    return put(front, place, 'u32be', front.readUInt32BE(place) >> 1)
  }
  t.match(await outcome(half('mdhd', 16)), { samples: 2 * RATE, codes: ['HEADER_CONTRADICTS'] })
  t.match(await outcome(half('mvhd', 16)), { samples: 2 * RATE, codes: [] })
  t.match(await outcome(half('tkhd', 20)), { samples: 2 * RATE, codes: [] })
  const edited = await outcome(half('elst', 8))
  t.ok(
    Math.abs(edited.samples - RATE) < 50,
    `an edit that ends early is heeded: ${edited.samples}`,
  )
  t.same(edited.codes, [], 'a second may be meant')
  const long = wav(club(5 * RATE))
  const five = await coded('c.m4a', long, ['-movflags', 'faststart'])
  const place = five.indexOf('elst') + 12
  const shortened = await outcome(put(five, place, 'u32be', 1000))
  t.ok(Math.abs(shortened.samples - RATE) < 50)
  t.same(shortened.codes, ['HEADER_CONTRADICTS'], 'four are said')
})

t.test('what is in an MP4 file is taken, or named', async (t) => {
  const taken = [
    ['a.mp4', ['-c:a', 'mp3', '-b:a', '256k']],
    ['a.mp4', ['-c:a', 'flac', '-strict', '-2']],
    ['a.m4a', ['-c:a', 'alac']],
    ['a.mp4', ['-c:a', 'libopus', '-ar', '48000', '-b:a', '256k']],
  ] as const
  const named = [
    [
      'a.mp4',
      ['-c:a', 'ac3'],
      /an MP4 file of AC-3 \(Dolby Digital\) \(kind "ac-3"\); expected/,
    ],
    ['a.mp4', ['-c:a', 'eac3'], /an MP4 file of E-AC-3/],
    ['a.mp4', ['-c:a', 'libvorbis', '-strict', '-2'], /an MP4 file of Vorbis .*0xdd/],
    ['a.mov', ['-c:a', 'pcm_s16le'], /an MP4 file of PCM \(kind "sowt"\)/],
  ] as const
  const files = await codedAs(music, [...taken, ...named])
  for (const [n, [, args]] of taken.entries()) {
    const outcomes = await outcome(files[n] as Buffer)
    t.match(outcomes, { samples: 2 * RATE, codes: [] }, args[1])
    t.ok(isInTime(outcomes.got), `${args[1]}: in time`)
  }
  for (const [n, [, , says]] of named.entries()) {
    const master = files[taken.length + n] as Buffer
    await t.rejects(stage(master), { code: 'MASTER_UNREADABLE', message: says })
  }
})

t.test('an edit list has an end', async (t) => {
  const at = front.indexOf('elst') + 8
  const list = (edits: number) => {
    const more = Buffer.alloc(12 * (edits - 1), front.subarray(at + 4, at + 16))
    const grown = Buffer.concat([front.subarray(0, at + 16), more, front.subarray(at + 16)])
    grown.writeUInt32BE(edits, at)
    for (const box of ['elst', 'edts', 'trak', 'moov']) {
      const size = grown.indexOf(box) - 4
      grown.writeUInt32BE(grown.readUInt32BE(size) + more.length, size)
    }
    return grown
  }
  await t.rejects(outcome(list(1001)), {
    code: 'MASTER_UNREADABLE',
    message: /an M4A with an edit list of 1001 edits; expected 1000 at most/,
  })
})
