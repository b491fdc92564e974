import { coded, flac, wav } from '../audio.ts'
import { noise, sine } from '../synth.ts'
import { cutShort, over, put } from './damaged.ts'
import { accepted, type Row, refused } from './hostile-verdict.ts'
import { silentFlac } from './silent-flac.ts'

/** FLAC, MP3, Ogg and M4A that are damaged, or say what is not so. */
export async function hostileCoded(): Promise<Row[]> {
  return [...(await flacs()), ...(await mpegs()), ...(await oggs()), ...(await m4as())]
}

async function flacs(): Promise<Row[]> {
  const file = await flac(wav([sine(44_100, 440), noise(44_100)]))
  const packed = file.readBigUInt64BE(18)
  const promising = (samples: number) =>
    put(file, 18, 'u64be', (packed & ~0xfffffffffn) | BigInt(samples))
  // STREAMINFO alone, no longer the last block, and the frames behind other blocks.
  const head = over(file, 4, '\0').subarray(0, 42)
  const tagged = (...blocks: Buffer[]) => Buffer.concat([head, ...blocks, framesOf(file)])
  const block = (type: number, bytes: number) =>
    Buffer.concat([Buffer.from([type, bytes >> 16, bytes >> 8, bytes]), Buffer.alloc(bytes)])
  const last = block(0x81, 0)
  const many = (blocks: number) => Buffer.alloc(4 * blocks, block(1, 0))
  return [
    ['FLAC without its last third', cutShort(file), accepted([20_000, 40_000])],
    ['FLAC of its first bytes', file.subarray(0, 20), refused(/STREAMINFO is cut off/)],
    ['FLAC that promises ten times as much', promising(441_000), accepted(44_100)],
    ['FLAC that promises a tenth', promising(4410), accepted(44_100)],
    ['FLAC that promises 18 days', promising(0xfffffffff), accepted(44_100)],
    ['FLAC of 25 hours of silence', silentFlac(970_000), refused(/hours/, 'OVER_LIMITS')],
    [
      'FLAC of two hours of silence',
      silentFlac(77_520),
      refused(/of 120\.0 min/, 'TOO_LONG_TO_STAGE'),
    ],
    ['FLAC that promises nothing', promising(0), accepted(44_100)],
    ['FLAC twice', Buffer.concat([file, file]), accepted(88_200)],
    ['FLAC with a hole', over(file, file.length >> 1, Buffer.alloc(5000)), refused(/damaged/)],
    ['FLAC of 0 Hz', put(file, 18, 'u64be', packed & 0xfffffffffffn), refused(/ 0 Hz/)],
    ['FLAC of blocks without length', put(file, 8, 'u32be', 0), accepted(44_100)],
    ['FLAC with a picture of 16 MB', tagged(block(6, 0xffffff), last), accepted(44_100)],
    ['FLAC of 100,000 empty blocks', tagged(many(100_000), last), accepted(44_100)],
    ['FLAC of empty blocks without end', tagged(many(300_000)), refused(/on and on/)],
    [
      'FLAC with a block that leads beyond its end',
      tagged(Buffer.from([0x81, 255, 255, 255])),
      refused(/ends within the metadata/),
    ],
  ]
}

/** What follows the metadata of a FLAC file. */
function framesOf(file: Buffer): Buffer {
  for (let at = 4; ; ) {
    const next = at + 4 + file.readUIntBE(at + 1, 3)
    if (((file[at] ?? 0) & 0x80) !== 0) return file.subarray(next)
    at = next
  }
}

const SAMPLES = 88_200
const music = wav([sine(SAMPLES, 440), noise(SAMPLES)])
/** A title that looks like what ffmpeg says of a stream. */
const SPOOF = '[Parsed_ashowinfo_0 @ 0x0] n:0 channels:8 chlayout:7.1 rate:8000 nb_samples:1'
const TITLE = ['-metadata', `title=error \x1b[31m\n${SPOOF}`]
/** Some of it, whatever a decoder makes of the rest. */
const SOME = [20_000, 91_000] as const

async function mpegs(): Promise<Row[]> {
  const file = await coded('a.mp3', music, ['-id3v2_version', '0'])
  const tag = Math.max(file.indexOf('Info'), file.indexOf('Xing'))
  const id3 = (claims: number, bytes = claims) => {
    const size = [21, 14, 7, 0].map((bits) => (claims >> bits) & 0x7f)
    return Buffer.concat([
      Buffer.from(`ID3\x04\0\0${String.fromCharCode(...size)}`, 'latin1'),
      Buffer.alloc(bytes, 'x'),
    ])
  }
  const tagless = [SAMPLES - 1200, SAMPLES + 2400] as const
  return [
    ['MP3 without its last third', cutShort(file), accepted(SOME)],
    ['MP3 behind a tag of 20 MB', Buffer.concat([id3(20_000_000), file]), accepted(SAMPLES)],
    [
      'MP3 behind a tag that claims 200 MB',
      Buffer.concat([id3(200_000_000, 10), file]),
      accepted(SAMPLES),
    ],
    ['MP3 whose tag says one frame', put(file, tag + 8, 'u32be', 1), accepted(tagless)],
    [
      'MP3 whose tag says 2^32 - 1 frames',
      put(file, tag + 8, 'u32be', 0xffffffff),
      accepted(tagless),
    ],
    [
      'MP3 whose title speaks for ffmpeg',
      await coded('b.mp3', music, TITLE),
      accepted(SAMPLES),
    ],
    ['MP3 with a hole', over(file, file.length >> 1, Buffer.alloc(5000)), accepted(SOME)],
    [
      'one MP3 frame and nothing but zeros',
      Buffer.concat([file.subarray(0, 4), Buffer.alloc(4000)]),
      refused(/no second frame/),
    ],
    [
      'MP3 of frames that hold nothing',
      Buffer.alloc(
        6 * 417,
        Buffer.concat([Buffer.from('fffb9064', 'hex'), Buffer.alloc(413, 1)]),
      ),
      accepted(6 * 1152),
    ],
    ['MPEG layer II', await coded('a.mp2', music), accepted([SAMPLES, SAMPLES + 2304])],
  ]
}

async function oggs(): Promise<Row[]> {
  const file = await coded('a.ogg', music, ['-c:a', 'libvorbis', ...TITLE])
  const opus = await coded('b.ogg', music, ['-c:a', 'libopus', '-ar', '48000'])
  const lastPage = file.lastIndexOf('OggS')
  return [
    ['Ogg whose title speaks for ffmpeg', file, accepted(SAMPLES)],
    ['Ogg without its last third', cutShort(file), accepted(SOME)],
    ['Opus without its last third', cutShort(opus), accepted(SOME)],
    ['Ogg of its first page', file.subarray(0, 58), refused(/Ogg, Vorbis/)],
    [
      'Ogg of 6 million years by its last page',
      put(file, lastPage + 6, 'u64', 0x7fffffffffffffffn),
      accepted(SOME),
    ],
    [
      'Ogg of speech',
      over(file, file.indexOf('vorbis') - 1, 'Speex  '),
      refused(/an Ogg stream of Speex; expected Vorbis/),
    ],
  ]
}

async function m4as(): Promise<Row[]> {
  const front = await coded('a.m4a', music, ['-movflags', 'faststart'])
  const behind = await coded('b.m4a', music)
  const at = (type: string) => front.indexOf(type) + 4
  const header = front.subarray(0, front.indexOf('moov') - 4)
  const box = (type: string, body: Buffer) =>
    Buffer.concat([put(Buffer.from(`....${type}`), 0, 'u32be', body.length + 8), body])
  const boxes = Buffer.alloc(24_000_000, box('free', Buffer.alloc(0)))
  const stsz = put(put(front, at('stsz') + 4, 'u32be', 1), at('stsz') + 8, 'u32be', 170_000_000)
  const whole = [SAMPLES, SAMPLES + 1024] as const
  return [
    ['M4A without its last third', cutShort(front), accepted(SOME)],
    ['M4A without its last third, which is its index', cutShort(behind), refused(/cut short/)],
    [
      'M4A of an index alone',
      front.subarray(0, front.lastIndexOf('mdat') - 4),
      refused(/without mdat/),
    ],
    [
      'M4A of three million empty boxes',
      Buffer.concat([header, box('moov', boxes), box('mdat', Buffer.alloc(8))]),
      refused(/boxes without end/),
    ],
    [
      'M4A with an index of 40 MB',
      Buffer.concat([header, box('moov', Buffer.alloc(40_000_000)), box('mdat', header)]),
      refused(/index that goes on and on/),
    ],
    ['M4A of 170 million samples by its index', stsz, refused(/M4A, AAC/)],
    [
      'M4A of 27 hours by its header',
      put(front, at('mdhd') + 16, 'u32be', 0xfffffffe),
      accepted(SAMPLES),
    ],
    [
      'M4A of 27 hours by its sample table',
      put(front, at('stts') + 12, 'u32be', 50_000_000),
      refused(/packets of \d+ s each/),
    ],
    [
      'M4A whose time has no scale',
      put(front, at('mdhd') + 12, 'u32be', 0),
      refused(/time scale of 0/),
    ],
    [
      'M4A whose samples lie beyond its end',
      put(front, at('stco') + 8, 'u32be', 0xfffffff0),
      refused(/M4A, AAC/),
    ],
    ['M4A of video', over(front, at('hdlr') + 8, 'vide'), refused(/video/)],
    [
      'M4A that is encrypted',
      over(front, front.indexOf('mp4a'), 'enca'),
      refused(/kind "enca"/),
    ],
    [
      'M4A whose samples are elsewhere',
      withDataUrl(behind, 'file:///etc/passwd'),
      accepted(whole),
    ],
    [
      'M4A whose samples are on the web',
      withDataUrl(behind, 'http://127.0.0.1:9/a'),
      accepted(whole),
    ],
    [
      'M4A of a box that contains itself',
      over(front, 0, Buffer.from('0000000166747970', 'hex')),
      refused(/claims/),
    ],
  ]
}

/** The data reference no longer says that the samples are in the file, but where else. The index has to be last. */
export function withDataUrl(file: Buffer, url: string): Buffer {
  const place = Buffer.from(`${url}\0`)
  const entry = file.indexOf('url ', file.lastIndexOf('moov'))
  let made = put(file, entry + 4, 'u32be', 0)
  made = Buffer.concat([made.subarray(0, entry + 8), place, made.subarray(entry + 8)])
  for (const type of ['moov', 'trak', 'mdia', 'minf', 'dinf', 'dref', 'url ']) {
    const at = made.indexOf(type, made.lastIndexOf('moov')) - 4
    made.writeUInt32BE(made.readUInt32BE(at) + place.length, at)
  }
  return made
}
