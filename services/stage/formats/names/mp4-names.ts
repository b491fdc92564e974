import type { ByteWindow } from '../byte-window.ts'
import { MAX_TEXT_BYTES, type RawNames, strictText } from './text.ts'

/** Maximum number of boxes that are read within one box. */
const MAX_BOXES = 1000
/** Size of the fields before the text in a `data` box: its type and its locale. */
const DATA_HEAD_BYTES = 8
const UTF8 = 1

interface Place {
  readonly start: number
  readonly end: number
}

/** The items ©nam and ©ART of an MP4 file, in moov/udta/meta/ilst. Sources: ISO/IEC 14496-12; Apple, QuickTime. */
export async function mp4Names(window: ByteWindow, start: number): Promise<RawNames> {
  let place: Place | undefined = { start, end: window.bytes }
  for (const type of ['moov', 'udta', 'meta', 'ilst']) {
    place = place && (await boxIn(window, place, type))
    // A meta box of ISO begins with a version; one of QuickTime does not.
    if (place !== undefined && type === 'meta') {
      const next = Buffer.from(await window.glance(place.start + 4, 4)).toString('latin1')
      if (next !== 'hdlr') place = { ...place, start: place.start + 4 }
    }
  }
  if (place === undefined) return {}
  return {
    title: await itemIn(window, place, '\xa9nam'),
    artist: await itemIn(window, place, '\xa9ART'),
  }
}

async function itemIn(
  window: ByteWindow,
  place: Place,
  type: string,
): Promise<string | undefined> {
  const item = await boxIn(window, place, type)
  const data = item && (await boxIn(window, item, 'data'))
  if (data === undefined) return undefined
  const length = Math.min(data.end - data.start, MAX_TEXT_BYTES)
  const bytes = Buffer.from(await window.glance(data.start, length))
  if (bytes.length < DATA_HEAD_BYTES || bytes.readUInt32BE(0) !== UTF8) return undefined
  return strictText(bytes.subarray(DATA_HEAD_BYTES))
}

/** The contents of the first box of this type. */
async function boxIn(
  window: ByteWindow,
  { start, end }: Place,
  type: string,
): Promise<Place | undefined> {
  let at = start
  for (let n = 0; n < MAX_BOXES && at + 8 <= end; n++) {
    const head = Buffer.from(await window.glance(at, 16))
    if (head.length < 8) return undefined
    const short = head.readUInt32BE(0)
    const isLong = short === 1 && head.length === 16
    const size = isLong ? Number(head.readBigUInt64BE(8)) : short === 0 ? end - at : short
    const headBytes = isLong ? 16 : 8
    if (size < headBytes || at + size > end) return undefined
    if (head.toString('latin1', 4, 8) === type) return { start: at + headBytes, end: at + size }
    at += size
  }
  return undefined
}
