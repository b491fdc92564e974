import t from 'tap'
import type { Coded } from '../../../services/stage/formats/layout.ts'
import { oggSurvey, oggWarnings } from '../../../services/stage/formats/ogg/survey.ts'
import { readHeader } from '../../../services/stage/formats/read-header.ts'
import { coded, codedAs, wav } from '../../support/audio.ts'
import { over, put } from '../../support/masters/damaged.ts'
import { pagesOf, renumbered, withChecksum } from '../../support/masters/ogg.ts'
import { bytesOf, soon, stage } from '../../support/stage.ts'
import { club, RATE, silence } from '../../support/synth.ts'

const SECONDS = 5
const music = wav(club(SECONDS * RATE))
const [vorbis, opus, flac] = (await codedAs(music, [
  ['a.ogg', ['-c:a', 'libvorbis', '-q:a', '8']],
  // By default a page takes a second: the middle would be near an end.
  ['a.opus', ['-c:a', 'libopus', '-page_duration', '300000']],
  ['a.oga', ['-c:a', 'flac', '-page_duration', '300000']],
])) as [Buffer, Buffer, Buffer]
const files = { Vorbis: vorbis, Opus: opus, FLAC: flac }

async function outcome(file: Buffer, isDecoded = true) {
  const header = (await readHeader(bytesOf(file))) as Coded
  const looked = await oggSurvey(header, bytesOf(file), soon())
  const samples = isDecoded
    ? (await stage(file)).samples
    : Math.round((looked?.seconds ?? 0) * RATE)
  const warnings = oggWarnings(looked, samples)
  return { samples, warnings, codes: warnings.map(({ code }) => code) }
}

t.test('what is missing or wrong in an Ogg is warned of, and nothing else', async (t) => {
  for (const [codec, file] of Object.entries(files)) {
    const pages = pagesOf(file)
    const middle = pages.length >> 1
    const without = (at: number) => pages.toSpliced(at, 1)
    const foreign = pages.map((page, i) =>
      i < middle ? page : withChecksum(put(page, 14, 'u32', 7)),
    )
    const flipped = Buffer.from(file)
    flipped.writeUInt8(file.readUInt8(file.length >> 1) ^ 1, file.length >> 1)
    const hole = over(file, file.length >> 1, Buffer.alloc(4096, 0x55))
    const cases: [string, Buffer, readonly string[]][] = [
      ['as it is', file, []],
      ['without a page', Buffer.concat(without(middle)), ['DAMAGED']],
      ['without a page, and numbered anew', join(renumbered(without(middle))), ['DAMAGED']],
      ['without its first page of music', join(without(firstMusic(pages))), ['DAMAGED']],
      ['with 4 kB of something else', hole, ['DAMAGED']],
      ['with one bit flipped', flipped, ['DAMAGED']],
      ['with pages of another stream', join(foreign), ['DAMAGED']],
      [
        'with a page twice',
        join([pages.slice(0, middle + 1), pages.slice(middle)]),
        ['DAMAGED'],
      ],
      ['with three pages twice', join([pages.slice(0, -2), pages.slice(-5)]), ['DAMAGED']],
      ['with its first page twice', join([pages.slice(0, 1), pages]), ['DAMAGED']],
      ['with its last page twice', join([pages, pages.slice(-1)]), ['DAMAGED']],
      ['with two pages in the wrong order', join(swapped(pages, middle)), ['DAMAGED']],
      ['with pages that have no numbers', join(unnumbered(pages)), []],
      ['without its last page', join(pages.slice(0, -1)), ['CUT_SHORT']],
      ['cut within a page', file.subarray(0, Math.floor(file.length * 0.8)), ['CUT_SHORT']],
      ['with a tag behind', join([file, Buffer.from('TAG'.padEnd(128, 'x'))]), []],
      ['with zeros behind', join([file, Buffer.alloc(70_000)]), []],
      ['with a WAV behind', join([file, music]), ['MORE_FOLLOWS']],
      ['with a tag in front', join([id3(), file]), []],
      ['with a number left out behind the headers', join(skipping(pages)), []],
    ]
    for (const [what, master, codes] of cases) {
      const found = await outcome(master, false)
      const said = found.warnings.map(({ sentence }) => sentence).join('; ')
      t.same(found.codes, codes, `${codec} ${what}: ${said}`)
    }
  }
})

t.test('the sentences say where it is, and how long what is there', async (t) => {
  const pages = pagesOf(opus)
  const {
    warnings: [damaged],
  } = await outcome(join(pages.toSpliced(-4, 1)))
  t.match(damaged?.sentence, /^the Ogg is damaged at [34]\.\d s: pages of it are missing, or/)
  const {
    samples,
    warnings: [cut],
  } = await outcome(join(pages.slice(0, -4)))
  t.match(cut, { code: 'CUT_SHORT', present_seconds: Math.round(samples / 44.1) / 1000 })
  t.match(
    cut?.sentence,
    /^the Ogg is cut short: it ends without its last page; [34]\.\d+ s are/,
  )
})

t.test('a first page that comes twice costs nothing', async (t) => {
  for (const [codec, file] of Object.entries(files)) {
    const { samples } = await outcome(file)
    const twice = await outcome(join([pagesOf(file).slice(0, 1), file]))
    t.equal(twice.samples, samples, codec)
    t.match(twice.warnings, [{ sentence: /at 0\.0 s: pages of it come twice/ }])
  }
})

t.test('a stream that was recorded from its middle on lacks nothing', async (t) => {
  const long = await coded('a.ogg', wav([silence(20 * RATE)]), ['-c:a', 'libvorbis'])
  const pages = pagesOf(long)
  const headers = firstMusic(pages)
  const at = (second: number) =>
    pages.findIndex((page) => page.readBigInt64LE(6) > BigInt(second * RATE))
  t.same((await outcome(join(pages.toSpliced(headers, at(15) - headers)))).codes, [])
  t.same((await outcome(join(pages.toSpliced(headers, at(5) - headers)))).codes, ['DAMAGED'])
})

t.test('Oggs that were joined are taken whole where they are alike', async (t) => {
  for (const [codec, file] of Object.entries(files)) {
    const { samples, codes } = await outcome(join([file, id3(), file]))
    t.ok(Math.abs(samples - 2 * SECONDS * RATE) < 320, `${codec}: ${samples} samples`)
    // Its decoder does not begin anew.
    const joined = codec === 'Opus' ? ['DAMAGED'] : []
    t.same(codes, joined, codec)
    const cut = await outcome(join([...pagesOf(file).slice(0, -1), file]), false)
    t.same(cut.codes, ['CUT_SHORT', ...joined], `${codec}: ${cut.warnings[0]?.sentence}`)
    t.match(cut.warnings, [{ sentence: /stream 1 of the 2 in it/ }])
  }
  const slow = wav(club(RATE, { rate: 48_000 }), { rate: 48_000 })
  const other = await coded('a.ogg', slow, ['-c:a', 'libvorbis'])
  const mono = await coded('a.ogg', wav([silence(RATE)]), ['-c:a', 'libvorbis'])
  const theora = over(vorbis, vorbis.indexOf('\x01vorbis'), '\x80theora')
  for (const [master, message] of [
    [join([vorbis, opus]), /changes from Vorbis of 44100 Hz, 2 channels to Opus of 48000 Hz/],
    [join([opus, vorbis]), /changes from Opus of 48000 Hz, 2 channels to Vorbis of 44100 Hz/],
    [join([flac, vorbis]), /from FLAC of 44100 Hz, 2 channels, 16 bits to Vorbis of 44100 Hz/],
    [join([vorbis, other]), /Vorbis of 44100 Hz, 2 channels to Vorbis of 48000 Hz, 2 channels/],
    [join([vorbis, mono]), /2 channels to Vorbis of 44100 Hz, 1 channel; expected one format/],
    [join([vorbis, sound(theora)]), /an Ogg stream of Theora, which is video; expected Vorbis/],
    [join([vorbis, sound(theora)[0] as Buffer, vorbis]), /Theora, which is video/],
    [join([vorbis, pagesOf(vorbis)[0] as Buffer, opus]), /a second stream in the Ogg file/],
  ] as const) {
    await t.rejects(outcome(master, false), { code: 'MASTER_UNREADABLE', message })
  }
})

t.test('what is decoded is compared with what the pages count', async (t) => {
  const pages = pagesOf(vorbis)
  const middle = pages.length >> 1
  // Sound by its checksum, and no music: its packets do not begin with a zero bit.
  const spoilt = pages.map((page, i) => {
    if (i !== middle && i !== middle + 1) return page
    const copy = Buffer.from(page)
    return withChecksum(copy.fill(0xff, 27 + copy.readUInt8(26)))
  })
  const { codes, warnings } = await outcome(join(spoilt))
  t.same(codes, ['DAMAGED'], `${warnings[0]?.sentence}`)
})

function join(pieces: readonly (Buffer | readonly Buffer[])[]): Buffer {
  return Buffer.concat(pieces.flat())
}

function id3(): Buffer {
  return Buffer.concat([Buffer.from('ID3\x04\0\0\0\0\x01\0', 'latin1'), Buffer.alloc(128)])
}

function swapped(pages: readonly Buffer[], at: number): Buffer[] {
  const [one, other] = [pages[at], pages[at + 1]] as [Buffer, Buffer]
  return pages.toSpliced(at, 2, other, one)
}

function unnumbered(pages: readonly Buffer[]): Buffer[] {
  return pages.map((page) => withChecksum(put(page, 18, 'u32', 0)))
}

function firstMusic(pages: readonly Buffer[]): number {
  return pages.findIndex((page) => page.readBigInt64LE(6) > 0)
}

/** As a tool leaves it that has put the comments onto fewer pages. */
function skipping(pages: readonly Buffer[]): Buffer[] {
  const first = firstMusic(pages)
  return pages.map((page, i) => (i < first ? page : withChecksum(put(page, 18, 'u32', i + 3))))
}

function sound(file: Buffer): Buffer[] {
  return pagesOf(file).map(withChecksum)
}
