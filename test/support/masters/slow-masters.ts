import { coded, flac, wav } from '../audio.ts'
import { sine } from '../synth.ts'
import { crc } from './silent-flac.ts'

/** Of a file that is made to be slow: what took hours at 8 MB takes minutes. */
const BYTES = 2_000_000

/** Bytes over and over, to the length of a slow file. */
function repeated(unit: Buffer, bytes = BYTES): Buffer {
  return Buffer.alloc(bytes - (bytes % unit.length), unit)
}

function box(type: string, ...bodies: Buffer[]): Buffer {
  const body = Buffer.concat(bodies)
  const head = Buffer.alloc(8)
  head.writeUInt32BE(body.length + 8, 0)
  head.write(type, 4, 'latin1')
  return Buffer.concat([head, body])
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * i)
  return bytes
}

/** What a parser of each format could spend hours on, 2 MB each. */
export async function slowMasters(): Promise<Record<string, Buffer>> {
  return {
    ...(await flacs()),
    ...(await streams()),
    ...(await oggs()),
    ...(await mp4s()),
    ...chunks(),
  }
}

async function flacs(): Promise<Record<string, Buffer>> {
  const file = await flac(wav([sine(4410, 440), sine(4410, 220)]), { total: false })
  const head = file.subarray(0, 42)
  head[4] = 0x80
  const start = [0xff, 0xf8, 0xc9, 0x18, 0]
  const header = Buffer.from([...start, crc(start, 8, 0x07)])
  const zeros = Buffer.alloc(BYTES >> 2)
  const numbered = Buffer.concat(
    Array.from({ length: BYTES >> 3 }, (_, n) => {
      const bytes = [0xff, 0xf8, 0xc9, 0x18, n & 0x7f]
      return Buffer.from([...bytes, crc(bytes, 8, 0x07), n & 0xff, n >> 8])
    }),
  )
  return {
    'FLAC of headers, zeros last': Buffer.concat([
      head,
      repeated(header, BYTES - zeros.length),
      zeros,
    ]),
    'FLAC of headers': Buffer.concat([head, repeated(header)]),
    'FLAC of numbered headers': Buffer.concat([head, numbered]),
    'FLAC of markers': Buffer.concat([head, repeated(Buffer.from('fLaCID3TAG'))]),
    'FLAC of one frame and zeros': Buffer.concat([file, Buffer.alloc(BYTES)]),
    'FLAC of empty blocks': Buffer.concat([
      Buffer.from('fLaC\0\0\0\x22', 'latin1'),
      file.subarray(8, 42),
      repeated(Buffer.from([1, 0, 0, 0])),
    ]),
  }
}

async function streams(): Promise<Record<string, Buffer>> {
  const mp3 = await coded('a.mp3', wav([sine(4410, 440)]), ['-id3v2_version', '0'])
  const aac = await coded('a.aac', wav([sine(4410, 440)]))
  const loneFrame = Buffer.concat([Buffer.from('fffb9064', 'hex'), Buffer.alloc(40)])
  const tiny = Buffer.from('fff15040011ffc0000', 'hex')
  const id3 = Buffer.from('ID3\x04\0\0\0\0\0\0', 'latin1')
  const pair = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(5)])
  return {
    'MP3 of headers alone': repeated(Buffer.from('fffb9064', 'hex')),
    'MP3, and headers that lead nowhere': Buffer.concat([mp3, repeated(loneFrame)]),
    'MP3, and pairs of frames': Buffer.concat([mp3, repeated(pair(mp3.subarray(-2 * 417)))]),
    'MP3 behind tags without end': Buffer.concat([repeated(id3), mp3]),
    'MP3 within a tag that lies': Buffer.concat([
      Buffer.from('ID3\x04\0\0\x7f\x7f\x7f\x7f', 'latin1'),
      repeated(Buffer.from('fffb9064', 'hex')),
    ]),
    'ADTS of the smallest frames': repeated(tiny),
    'ADTS, and headers that lead nowhere': Buffer.concat([
      aac,
      repeated(Buffer.concat([Buffer.from('fff15080041ffc', 'hex'), Buffer.alloc(3)])),
    ]),
    'nothing but set bits': Buffer.alloc(BYTES, 0xff),
    'nothing but zeros': Buffer.alloc(BYTES),
  }
}

async function oggs(): Promise<Record<string, Buffer>> {
  const file = await coded('a.ogg', wav([sine(4410, 440)]), ['-c:a', 'libvorbis'])
  const page = (flags: number, packet: Buffer, serial: number) => {
    const head = Buffer.concat([Buffer.from('OggS\0'), Buffer.from([flags]), Buffer.alloc(20)])
    head.writeUInt32LE(serial, 14)
    return Buffer.concat([head, Buffer.from([1, packet.length]), packet])
  }
  const vorbis = Buffer.from('\x01vorbis\0\0\0\0\x02\x44\xac\0\0', 'latin1')
  const first = page(2, Buffer.concat([vorbis, Buffer.alloc(14)]), 1)
  return {
    'Ogg of tiny pages': Buffer.concat([first, repeated(page(0, Buffer.from('x'), 1))]),
    'Ogg of a stream a page': Buffer.concat([
      first,
      ...Array.from({ length: BYTES / 50 }, (_, n) =>
        page(2, Buffer.from('\x01vorbis'), n + 2),
      ),
    ]),
    'Ogg, and pages that are none': Buffer.concat([
      file,
      repeated(
        Buffer.concat([Buffer.from('OggS\0'), Buffer.alloc(21), Buffer.alloc(256, 255)]),
      ),
    ]),
    'Ogg of beginnings': Buffer.concat([first, repeated(Buffer.from('OggS'))]),
  }
}

async function mp4s(): Promise<Record<string, Buffer>> {
  const file = await coded('a.m4a', wav([sine(4410, 440)]), ['-movflags', 'faststart'])
  const fragmented = await coded('a.m4a', wav([sine(44_100, 440)]), [
    ...['-movflags', 'frag_keyframe+empty_moov+default_base_moof'],
    ...['-frag_duration', '100000'],
  ])
  const moof = fragmented.indexOf('moof') - 4
  const next = fragmented.indexOf('moof', moof + 8) - 4
  const mdat = box('mdat', Buffer.alloc(64))
  const ftyp = file.subarray(0, file.readUInt32BE(0))
  let nested = box('udta')
  for (let depth = 0; depth < 4000; depth++) nested = box('moov', nested)
  const table = (type: string, ...rest: number[]) => {
    const at = file.indexOf(type) - 4
    const size = file.readUInt32BE(at)
    const entries = Math.floor(BYTES / 4 / rest.length)
    const one = words(...rest)
    const made = box(type, words(0, entries), repeated(one, entries * one.length))
    const grown = Buffer.concat([file.subarray(0, at), made, file.subarray(at + size)])
    for (const parent of ['moov', 'trak', 'mdia', 'minf', 'stbl']) {
      const place = grown.indexOf(parent) - 4
      grown.writeUInt32BE(grown.readUInt32BE(place) + made.length - size, place)
    }
    return grown
  }
  return {
    'MP4 of empty boxes': Buffer.concat([ftyp, repeated(box('free'))]),
    'MP4 of boxes in boxes': Buffer.concat([ftyp, nested, mdat]),
    'MP4 of empty boxes in its index': Buffer.concat([
      ftyp,
      box('moov', repeated(box('trak'))),
      mdat,
    ]),
    'MP4 of a million times': table('stts', 1, 1),
    'MP4 of a million chunk lengths': table('stsc', 1, 0xffff_ffff, 1),
    'MP4 of two million chunks': table('stco', 48),
    'MP4 of fragments': Buffer.concat([
      fragmented.subarray(0, moof),
      repeated(fragmented.subarray(moof, next)),
    ]),
    'MP4 of empty fragments': Buffer.concat([
      fragmented.subarray(0, moof),
      repeated(box('moof', box('mfhd', words(0, 1)))),
    ]),
  }
}

function chunks(): Record<string, Buffer> {
  const riff = Buffer.from('RIFF\xff\xff\xff\x7fWAVE', 'latin1')
  const form = Buffer.from('FORM\x7f\xff\xff\xffAIFF', 'latin1')
  const good = wav([sine(441, 440)])
  const adpcm = Buffer.from(good.subarray(0, 44))
  adpcm.writeUInt16LE(17, 20)
  adpcm.writeUInt16LE(1, 32)
  return {
    'WAV of empty chunks': Buffer.concat([riff, repeated(Buffer.from('junk\0\0\0\0'))]),
    'WAV of chunks of odd size': Buffer.concat([
      riff,
      repeated(Buffer.from('junk\x01\0\0\0x')),
    ]),
    'AIFF of empty chunks': Buffer.concat([form, repeated(Buffer.from('ANNO\0\0\0\0'))]),
    'ADPCM of the smallest blocks': Buffer.concat([adpcm, Buffer.alloc(BYTES)]),
    'Core Audio of empty chunks': Buffer.concat([
      Buffer.from('caff\0\x01\0\0'),
      repeated(Buffer.concat([Buffer.from('free'), Buffer.alloc(8)])),
    ]),
  }
}
