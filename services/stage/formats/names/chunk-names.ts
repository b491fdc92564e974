import type { ByteWindow } from '../byte-window.ts'
import { id3Names } from './id3-names.ts'
import { looseText, MAX_TEXT_BYTES, type RawNames } from './text.ts'

/** Maximum number of chunks that are read. */
const MAX_CHUNKS = 200
const UNKNOWN = 0xffff_ffff

interface Chunk {
  readonly id: string
  /** Position of its contents. */
  readonly at: number
  readonly end: number
}

/** The texts INAM and IART of a WAV file, or the names in its ID3 tag, which states its encoding. */
export async function riffNames(window: ByteWindow, start: number): Promise<RawNames> {
  let info: RawNames = {}
  let tag: RawNames = {}
  // An RF64 file has the length of its samples in another chunk.
  let samples: number | undefined
  for await (const { id, at, end } of chunksOf(window, start + 12, true, () => samples)) {
    if (id === 'ds64') {
      const sizes = Buffer.from(await window.glance(at, 16))
      if (sizes.length === 16) samples = Number(sizes.readBigUInt64LE(8))
    } else if (id === 'LIST') info = { ...(await infoNames(window, at, end)), ...info }
    else if (/^id3 $/i.test(id)) tag = await id3Names(window, at)
  }
  return { ...info, ...tag }
}

async function infoNames(window: ByteWindow, at: number, end: number): Promise<RawNames> {
  const kind = Buffer.from(await window.glance(at, 4)).toString('latin1')
  if (kind !== 'INFO') return {}
  const names: { title?: string; artist?: string } = {}
  for await (const chunk of chunksOf(window, at + 4, true, () => undefined)) {
    if (chunk.end > end) break
    if (chunk.id === 'INAM') names.title ??= await textAt(window, chunk)
    if (chunk.id === 'IART') names.artist ??= await textAt(window, chunk)
  }
  return names
}

/** The texts NAME and AUTH of an AIFF file, or the names in its ID3 tag. */
export async function aiffNames(window: ByteWindow, start: number): Promise<RawNames> {
  const names: { title?: string; artist?: string } = {}
  let tag: RawNames = {}
  for await (const chunk of chunksOf(window, start + 12, false, () => undefined)) {
    if (chunk.id === 'NAME') names.title ??= await textAt(window, chunk)
    if (chunk.id === 'AUTH') names.artist ??= await textAt(window, chunk)
    if (/^id3 $/i.test(chunk.id)) tag = await id3Names(window, chunk.at)
  }
  return { ...names, ...tag }
}

async function textAt(window: ByteWindow, { at, end }: Chunk): Promise<string> {
  return looseText(await window.glance(at, Math.min(end - at, MAX_TEXT_BYTES)))
}

async function* chunksOf(
  window: ByteWindow,
  start: number,
  isLittle: boolean,
  samples: () => number | undefined,
): AsyncGenerator<Chunk> {
  let at = start
  for (let n = 0; n < MAX_CHUNKS && at + 8 <= window.bytes; n++) {
    const head = Buffer.from(await window.glance(at, 8))
    const id = head.toString('latin1', 0, 4)
    let size = isLittle ? head.readUInt32LE(4) : head.readUInt32BE(4)
    if (id === 'data' && size === UNKNOWN) size = samples() ?? window.bytes
    const end = Math.min(at + 8 + size, window.bytes)
    yield { id, at: at + 8, end }
    at += 8 + size + (size % 2)
  }
}
