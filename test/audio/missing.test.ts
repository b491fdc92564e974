import t from 'tap'
import { noFramesSeen } from '#shared/audio/frames-seen.ts'
import { mpegFrame } from '#shared/audio/mpeg-frame.ts'
import { mpegFrames } from '#shared/audio/mpeg-frames.ts'
import { club, coded, flac, noise, RATE, wav } from '../support/audio.ts'
import { over } from '../support/damaged.ts'
import { stage } from '../support/stage.ts'

const music = wav(club(2 * RATE))
const BARE = ['-id3v2_version', '0'] as const
const mp3 = await coded('a.mp3', music, ['-b:a', '128k', ...BARE])
const vbr = await coded('b.mp3', music, ['-q:a', '3', ...BARE])
const tagless = await coded('c.mp3', music, ['-write_xing', '0', ...BARE])
const mp2 = await coded('a.mp2', music)
const aac = await coded('a.aac', music)
const m4a = await coded('a.m4a', music, ['-movflags', 'faststart'])
const alac = await coded('b.m4a', music, ['-c:a', 'alac'])

const random = Buffer.from(noise(4000, { seed: 9 }).map((x) => x * 250))
const zeros = Buffer.alloc(4000)
const join = (...pieces: Uint8Array[]) => Buffer.concat(pieces)
/** With so many bytes in the middle overwritten. */
const hit = (file: Buffer, bytes: Buffer, n: number) =>
  over(file, Math.floor(file.length * 0.55), bytes.subarray(0, n))

async function codes(master: Buffer): Promise<readonly string[]> {
  return (await stage(master)).warnings.map(({ code }) => code)
}

t.test('what is overwritten within a master is said', async (t) => {
  const masters = { mp3, vbr, tagless, mp2, aac, m4a, alac }
  for (const [what, file] of Object.entries(masters)) {
    t.same(await codes(file), [], `${what} as it was made`)
    for (const [how, bytes] of Object.entries({ random, zeros })) {
      t.same(await codes(hit(file, bytes, 3000)), ['DAMAGED'], `3,000 bytes of ${what}: ${how}`)
    }
  }
  t.same(await codes(hit(vbr, random, 1000)), ['DAMAGED'])
  // Within a frame, whose header and neighbours are as they were: the encoder's checksum tells.
  t.same(await codes(hit(mp3, zeros, 50)), ['DAMAGED'])
  t.same(await codes(hit(m4a, zeros, 50)), ['DAMAGED'])
  const [damage] = (await stage(hit(vbr, random, 2500))).warnings
  t.match(damage?.sentence, /the MP3 is damaged: 2\d\d\d bytes at byte \d+ \(second 1\.\d+\)/)
})

t.test('a frame that is missing at the end is said', async (t) => {
  const most = (file: Buffer) => file.subarray(0, Math.floor(file.length * 0.63))
  for (const [what, file] of Object.entries({ mp3, vbr, tagless, mp2, aac })) {
    t.same(await codes(file.subarray(0, -20)), ['CUT_SHORT'], `${what} without 20 bytes`)
    t.same(await codes(most(file)), ['CUT_SHORT'], `most of ${what}`)
  }
  // Whole frames: nothing but the tag tells.
  const [cut] = (await stage(mp3.subarray(0, -418))).warnings
  t.match(cut, { code: 'CUT_SHORT', promised_seconds: 2 })
  const { warnings } = await stage(most(aac))
  t.match(warnings, [{ code: 'CUT_SHORT', sentence: /ends within a frame, and 1\.\d+ s/ }])
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
    ['a start within a frame', tagless.subarray(600)],
  ] as const) {
    t.same(await codes(master), [], what)
  }
  for (const [what, master] of [
    ['junk behind frames that nobody counted', join(tagless, random)],
    [
      'zeros between frames',
      join(tagless.subarray(0, middle), zeros, tagless.subarray(middle)),
    ],
  ] as const) {
    t.same(await codes(master), ['DAMAGED'], what)
  }
  const regained = join(hit(mp3, zeros, 50), apeTag('MP3GAIN_MINMAX'), id3v1)
  t.same(await codes(regained), [], 'gain that was changed after the checksum was written')
})

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

t.test('another master behind is said to be left out', async (t) => {
  const lossless = await flac(music)
  const tag = Buffer.from('ID3\x04\0\0\0\0\0\x05xxxxx', 'latin1')
  for (const [what, master] of [
    ['MP3, M4A', join(mp3, m4a)],
    ['MP3, WAV', join(mp3, music)],
    ['MP3, tag, zeros, FLAC', join(tagless, tag, zeros, lossless)],
    ['AAC, M4A', join(aac, m4a)],
    ['MP3, WAV, MP3', join(tagless, music, tagless)],
  ] as const) {
    t.same(await codes(master), ['MORE_FOLLOWS'], what)
  }
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
