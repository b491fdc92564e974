import { cannotTag, type Retagged } from './retagged.ts'
import { namedTags, type Tags } from './tags.ts'

/** Puts an ID3v2.3 tag in front of an .mp3 file, which stays as it is. */
export function tagMp3(first: Buffer, tags: Tags): Retagged {
  if (first.length < ID3.length) return { needs: ID3.length }
  if (first.subarray(0, ID3.length).equals(ID3)) throw cannotTag('it has an ID3 tag already')
  return { head: id3(tags), replaces: 0 }
}

const ID3 = Buffer.from('ID3')

/**
 * An ID3v2.3 tag, which more DJ software reads than 2.4: title, artist, BPM and key in their own frames;
 * loudness and asset_guid in named ones. Source: id3.org, ID3 tag version 2.3.0.
 */
function id3(tags: Tags): Buffer {
  const frames: Buffer[] = []
  if (tags.title !== undefined) frames.push(frame('TIT2', text(tags.title)))
  if (tags.artist !== undefined) frames.push(frame('TPE1', text(tags.artist)))
  // TBPM is a whole number, and some readers cut 127.98 down to 127. The exact number is stored under a name of
  // its own.
  if (tags.bpm !== undefined) frames.push(frame('TBPM', text(String(Math.round(tags.bpm)))))
  if (tags.key !== undefined) frames.push(frame('TKEY', text(tags.key)))
  for (const [name, value] of namedTags(tags)) {
    if (name !== 'initialkey') frames.push(frame('TXXX', named(name, value)))
  }
  const body = Buffer.concat(frames)
  const MAJOR = 3
  return Buffer.concat([ID3, Buffer.from([MAJOR, 0, 0]), syncSafe(body.length), body])
}

function frame(id: string, body: Buffer): Buffer {
  const head = Buffer.alloc(10)
  head.write(id, 'latin1')
  head.writeUInt32BE(body.length, 4)
  return Buffer.concat([head, body])
}

/**
 * Encodes a text as ISO 8859-1 if possible, else as UTF-16 with a byte order mark. ID3v2.3 does not support
 * UTF-8.
 */
function text(value: string): Buffer {
  if (LATIN1.test(value)) return Buffer.concat([Buffer.from([0]), Buffer.from(value, 'latin1')])
  return Buffer.concat([Buffer.from([1, 0xff, 0xfe]), Buffer.from(value, 'utf16le')])
}

const LATIN1 = /^[ -~\u00a0-\u00ff]*$/

/** A TXXX frame. Name and text are plain ASCII; players look for the name in capitals. */
function named(name: string, value: string): Buffer {
  return Buffer.from(`\0${name.toUpperCase()}\0${value}`, 'latin1')
}

/** Encodes a length with seven bits per byte, so that no decoder takes it for a frame sync. */
function syncSafe(value: number): Buffer {
  return Buffer.from([21, 14, 7, 0].map((shift) => (value >> shift) & 0x7f))
}
