import { cannotTag, type Retagged } from './retagged.ts'
import { namedTags, type Tags } from './tags.ts'

/**
 * The head of an .m4a file with the tags inserted into moov, which has to come before the audio. The chunk
 * offsets of the audio are corrected. Sources: ISO/IEC 14496-12 (boxes), Apple QuickTime File Format
 * (metadata); the item names are those that iTunes, Traktor and Picard write.
 * @param first the file's first bytes
 */
export function tagM4a(first: Buffer, tags: Tags): Retagged {
  const moov = findMoov(first)
  if ('needs' in moov) return moov
  const head = first.subarray(0, moov.end)
  const path = [moov]
  for (const [type, skip] of TO_ITEMS) {
    const inside = path.at(-1) ?? moov
    const found = boxes(head, inside.body + skip, inside.end).find((box) => box.type === type)
    if (found === undefined) throw cannotTag(`its moov has no ${type}`)
    path.push(found)
  }
  const items = itemsOf(tags)
  const put = path.at(-1)?.end ?? moov.end
  const grown = Buffer.concat([head.subarray(0, put), items, head.subarray(put)])
  for (const { start } of path) {
    grown.writeUInt32BE(grown.readUInt32BE(start) + items.length, start)
  }
  // The box of offsets may have moved too, so it is searched in the new head.
  for (const table of offsetTables(grown, moov.body, moov.end + items.length)) {
    move(grown, table, moov.end, items.length)
  }
  return { head: grown, replaces: moov.end }
}

/** The path from moov to the list of items, and the number of bytes between a box's header and its first child. */
const TO_ITEMS = [
  ['udta', 0],
  ['meta', 0],
  // A box with version and flags.
  ['ilst', 4],
] as const

interface Box {
  readonly type: string
  readonly start: number
  /** Position after the box's header. */
  readonly body: number
  readonly end: number
}

const HEADER_BYTES = 8

function findMoov(first: Buffer): Box | { readonly needs: number } {
  for (let at = 0; ; ) {
    if (at + HEADER_BYTES > first.length) return { needs: at + HEADER_BYTES }
    const box = boxAt(first, at)
    if (box.type === 'mdat' || box.end < box.body)
      throw cannotTag('its moov does not come first')
    if (box.type === 'moov') return box.end > first.length ? { needs: box.end } : box
    at = box.end
  }
}

function boxAt(bytes: Buffer, start: number): Box {
  return {
    type: bytes.toString('latin1', start + 4, start + 8),
    start,
    body: start + HEADER_BYTES,
    end: start + bytes.readUInt32BE(start),
  }
}

function boxes(bytes: Buffer, from: number, to: number): Box[] {
  const found: Box[] = []
  for (let at = from; at + HEADER_BYTES <= to; ) {
    const box = boxAt(bytes, at)
    if (box.end < box.body || box.end > to) throw cannotTag(`its box at byte ${at} is damaged`)
    found.push(box)
    at = box.end
  }
  return found
}

function offsetTables(bytes: Buffer, from: number, to: number): Box[] {
  return boxes(bytes, from, to).flatMap((box) => {
    if (box.type === 'stco' || box.type === 'co64') return [box]
    return HOLD_OFFSETS.has(box.type) ? offsetTables(bytes, box.body, box.end) : []
  })
}

const HOLD_OFFSETS = new Set(['trak', 'mdia', 'minf', 'stbl'])

/** Adds `by` to the offsets of a table that point behind the head. */
function move(bytes: Buffer, { type, body, end }: Box, headEnd: number, by: number): void {
  const COUNT_BYTES = 8
  if (type === 'stco') {
    for (let at = body + COUNT_BYTES; at + 4 <= end; at += 4) {
      const offset = bytes.readUInt32BE(at)
      if (offset >= headEnd) bytes.writeUInt32BE(offset + by, at)
    }
    return
  }
  for (let at = body + COUNT_BYTES; at + 8 <= end; at += 8) {
    const offset = bytes.readBigUInt64BE(at)
    if (offset >= headEnd) bytes.writeBigUInt64BE(offset + BigInt(by), at)
  }
}

function itemsOf(tags: Tags): Buffer {
  const items: Buffer[] = []
  if (tags.title !== undefined) items.push(box('\xa9nam', text(tags.title)))
  if (tags.artist !== undefined) items.push(box('\xa9ART', text(tags.artist)))
  if (tags.bpm !== undefined) {
    // iTunes supports whole beats only. The exact number is stored under a name of its own.
    const whole = Buffer.alloc(2)
    whole.writeUInt16BE(Math.round(tags.bpm))
    items.push(box('tmpo', dataBox(INTEGER, whole)))
  }
  for (const [name, value] of namedTags(tags)) {
    const known = name === 'bpm' ? 'BPM' : name
    items.push(box('----', full('mean', 'com.apple.iTunes'), full('name', known), text(value)))
  }
  return Buffer.concat(items)
}

const UTF8 = 1
const INTEGER = 21

function text(value: string): Buffer {
  return dataBox(UTF8, Buffer.from(value))
}

function dataBox(kind: number, value: Buffer): Buffer {
  const LOCALE_BYTES = 4
  return box('data', u32(kind), Buffer.alloc(LOCALE_BYTES), value)
}

/** A box with version and flags, both 0, followed by a text. */
function full(type: string, value: string): Buffer {
  return box(type, u32(0), Buffer.from(value))
}

function box(type: string, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents)
  return Buffer.concat([u32(HEADER_BYTES + body.length), Buffer.from(type, 'latin1'), body])
}

function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(value)
  return buffer
}
