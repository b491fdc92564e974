import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { TEXT_PATTERN } from '#shared/contracts/names.ts'
import { tagNames } from '../../../services/stage/formats/names/tag-names.ts'
import { ffmpeg } from '../../support/audio.ts'
import { timeLimit } from '../../support/patience.ts'

const folder = await mkdtemp(join(tmpdir(), 'trackchain-tags-'))
t.teardown(() => rm(folder, { recursive: true }))
const signal = timeLimit(120_000)
const NAMES = { title: 'Ночь & Nacht — 夜 🌙', artist: 'Björk' }

/** What is read of a file, and how often. */
function counted(bytes: Buffer) {
  const read = { bytes: 0, times: 0 }
  const file = {
    bytes: bytes.length,
    async read(start: number, end: number) {
      read.times++
      read.bytes += end - start
      return bytes.subarray(start, end)
    },
  }
  return { file, read }
}

const namesOf = (bytes: Buffer) => tagNames(counted(bytes).file, signal)

async function made(extension: string, ...options: readonly string[]): Promise<Buffer> {
  const path = join(folder, `${options.join('').replace(/\W/g, '')}.${extension}`)
  const tags = Object.entries(NAMES).flatMap(([name, text]) => ['-metadata', `${name}=${text}`])
  const source = ['-f', 'lavfi', '-i', 'sine=440:duration=2:sample_rate=44100']
  await ffmpeg([...source, ...tags, ...options, '-y', path])
  return readFile(path)
}

const FILES: Readonly<Record<string, Buffer>> = {
  'RIFF INFO': await made('wav'),
  'RF64 INFO': await made('wav', '-rf64', 'always'),
  'AIFF text chunks': await made('aiff', '-metadata', `author=${NAMES.artist}`),
  'AIFF with ID3': await made('aiff', '-write_id3v2', '1'),
  FLAC: await made('flac'),
  Vorbis: await made('ogg', '-c:a', 'libvorbis'),
  Opus: await made('opus', '-c:a', 'libopus'),
  'FLAC in Ogg': await made('oga', '-c:a', 'flac'),
  'M4A with its index behind': await made('m4a'),
  'M4A with its index in front': await made('m4a', '-movflags', 'faststart'),
  'ID3v2.3': await made('mp3', '-id3v2_version', '3'),
  'ID3v2.4': await made('mp3', '-id3v2_version', '4'),
}

for (const [what, bytes] of Object.entries(FILES)) {
  t.test(`title and artist are read from ${what}`, async (t) => {
    const { file, read } = counted(bytes)
    t.same(await tagNames(file, signal), NAMES)
    t.ok(read.times <= 16 && read.bytes <= 300_000, `${read.times} reads, ${read.bytes} bytes`)
  })
}

/** A tag of ID3v2 with these frames, each as text in UTF-8, or bytes. */
function id3(version: 2 | 3 | 4, frames: Record<string, string | Buffer>, flags = 0): Buffer {
  const written = Object.entries(frames).map(([id, text]) => {
    const body =
      typeof text === 'string' ? Buffer.concat([Buffer.of(3), Buffer.from(text)]) : text
    const head = Buffer.alloc(version === 2 ? 6 : 10)
    head.write(id, 'latin1')
    if (version === 2) head.writeUIntBE(body.length, 3, 3)
    else if (version === 3) head.writeUInt32BE(body.length, 4)
    else safe(body.length).copy(head, 4)
    return Buffer.concat([head, body])
  })
  const body = Buffer.concat(written)
  return Buffer.concat([
    Buffer.from('ID3'),
    Buffer.of(version, 0, flags),
    safe(body.length),
    body,
  ])
}

function safe(size: number): Buffer {
  return Buffer.from([21, 14, 7, 0].map((shift) => (size >> shift) & 0x7f))
}

const frame = FILES['ID3v2.3']?.subarray(-2000) ?? Buffer.alloc(0)

t.test('ID3 in its other versions and encodings', async (t) => {
  const of = (tag: Buffer) => namesOf(Buffer.concat([tag, frame]))
  t.same(await of(id3(2, { TT2: 'T', TP1: 'A' })), { title: 'T', artist: 'A' })
  const utf16 = (text: string) =>
    Buffer.concat([Buffer.of(1, 0xff, 0xfe), Buffer.from(text, 'utf16le')])
  t.same(
    await of(id3(3, { TIT2: utf16('Ночь\0'), TPE1: Buffer.from('\0Bj\xf6rk', 'latin1') })),
    {
      title: 'Ночь',
      artist: 'Björk',
    },
  )
  t.same(
    await of(id3(4, { TPE1: 'One\0Two\0', APIC: Buffer.alloc(300_000, 1), TIT2: 'Far' })),
    {
      title: 'Far',
      artist: 'One, Two',
    },
  )
  const stuffed = id3(3, { TIT2: Buffer.from('\0\xff\x00\xe0', 'latin1') }, 0x80)
  t.same(await of(stuffed), { title: 'ÿà' })
  const v1 = Buffer.alloc(128)
  v1.write('TAGOld title', 'latin1')
  v1.write('Old artist', 33, 'latin1')
  t.same(await namesOf(Buffer.concat([frame, v1])), {
    title: 'Old title',
    artist: 'Old artist',
  })
  const two = Buffer.concat([id3(4, { TPE1: 'First' }), id3(4, { TIT2: 'Second' })])
  t.same(await of(two), { artist: 'First' })
})

t.test('what comes out is printable, short, and never empty', async (t) => {
  const of = (title: string) => namesOf(Buffer.concat([id3(4, { TIT2: title }), frame]))
  t.same(await of(' a\nb\x1b[2J\u202Ec\u0085 '), { title: 'a b [2J c' })
  t.same(await of(' \n '), {})
  const { title = '' } = await of('🌙'.repeat(1500))
  t.equal([...title].length, 500)
  t.same(await of('x'.repeat(10_000)), {}, 'nobody reads a book for a title')
  const odd = Buffer.concat([Buffer.of(1, 0xff, 0xfe), Buffer.from('a\ud800b', 'utf16le')])
  t.same(await namesOf(Buffer.concat([id3(3, { TIT2: odd }), frame])), { title: 'a b' })
  const wrong = Buffer.from('\x03Bj\xf6rk', 'latin1')
  t.same(await namesOf(Buffer.concat([id3(4, { TIT2: wrong }), frame])), {})
})

t.test('whatever stands in a file, little is read of it and nothing is thrown', async (t) => {
  const text = new RegExp(TEXT_PATTERN, 'u')
  let state = 7
  const random = (below: number) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return state % below
  }
  for (const [what, bytes] of Object.entries(FILES)) {
    for (let n = 0; n < 300; n++) {
      const odd = Buffer.from(n % 3 === 0 ? bytes.subarray(0, random(bytes.length)) : bytes)
      for (let i = 0; n % 3 !== 0 && i < 1 + random(8) && odd.length > 0; i++)
        odd[random(Math.min(odd.length, 600))] =
          [0, 0xff, 0x7f, 0x80, random(256)][random(5)] ?? 0
      const { file, read } = counted(odd)
      const names = await tagNames(file, signal)
      for (const name of Object.values(names)) t.match(name, text)
      if (read.bytes > 9 << 20) t.fail(`${what}: ${read.bytes} bytes`)
    }
  }
  const hostile = {
    'chunks of no length': Buffer.concat([
      Buffer.from('RIFF\0\0\0\0WAVE'),
      Buffer.alloc(8 << 20),
    ]),
    'boxes in a box': Buffer.concat([
      Buffer.from('\0\0\0\x08ftyp', 'latin1'),
      Buffer.from('\0\0\0\x08free'.repeat(1 << 20), 'latin1'),
    ]),
    'frames of no length': id3(4, Object.fromEntries([['XXXX', '']])),
    'pages of no length': Buffer.from(`OggS${'\0'.repeat(23)}`.repeat(300_000), 'latin1'),
    'a block of FLAC after the other': Buffer.concat([
      Buffer.from('fLaC'),
      Buffer.alloc(8 << 20),
    ]),
  }
  for (const [what, bytes] of Object.entries(hostile)) {
    const { file, read } = counted(bytes)
    t.same(await tagNames(file, signal), {}, what)
    t.ok(read.bytes < 1 << 20, `${what}: ${read.bytes} bytes`)
  }
})

t.test('what the store throws is thrown', async (t) => {
  const file = { bytes: 1000, read: () => Promise.reject(new Error('away')) }
  await t.rejects(tagNames(file, signal), /away/)
})
