import { type Warning, warning } from '#shared/contracts/warnings.ts'
import { unreadable } from '../byte-window.ts'
import { type Box, find, word } from './box.ts'

/** The part of a track that is heard, in seconds of its decoded sound. */
export interface Times {
  /** Time to skip before the music. Below 0: length of the silence before it. */
  readonly skipSeconds: number
  /** Maximum length of the music, where an edit list gives it. */
  readonly mostSeconds?: number
  /**
   * Length including the silence before the music, by the durations of the packets, or else by the header.
   * Absent in fragments that do not give it.
   */
  readonly seconds?: number
  /** Length of the packets that are there. */
  readonly presentSeconds?: number
  /** Time units per second; the length of the packets in the index, units; and their average length. */
  readonly scale: number
  readonly units: number
  readonly packetUnits: number
  readonly warnings: readonly Warning[]
  /** Whether the edit list is too complex to be applied here, and is left to ffmpeg. */
  readonly isEdited: boolean
}

/** Maximum length of silence before the music, seconds. */
const MAX_SILENCE_SECONDS = 60
/** Minimum difference between two lengths that is reported, seconds. Lengths may be rounded. */
const NOTABLE_SECONDS = 0.5

/**
 * Finds where the music of a track begins and ends: by its edit list, else by iTunes' note of the encoder's
 * delay. Sources: ISO/IEC 14496-12, 8.4.2 (mdhd), 8.6.1.2 (stts), 8.6.6 (elst).
 * @param offset position of `moov` in the file, bytes
 * @param there number of packets before the first missing one
 * @throws PermanentError MASTER_UNREADABLE when the time scale is 0, or when packets are too long or edits too
 * many, because frames would be taken to last for ever or would be played again and again
 */
export function timesOf(
  moov: Buffer,
  root: Box,
  track: Box,
  { offset, there = Number.POSITIVE_INFINITY }: { offset: number; there?: number | undefined },
): Times {
  const { scale, units } = mediaTime(moov, find(moov, track, 'mdia/mdhd')[0], offset)
  const isFragmented = find(moov, root, 'mvex').length > 0
  const stts = find(moov, track, 'mdia/minf/stbl/stts')[0]
  const listed = tableUnits(moov, stts, there)
  const { units: table, packets } = isFragmented ? NO_TABLE : listed
  const known = {
    scale,
    units: listed.units,
    packetUnits:
      listed.packets === 0 ? defaultUnits(moov, root) : listed.units / listed.packets,
  }
  const packetSeconds = packets === 0 ? 0 : table / packets / scale
  if (packetSeconds > MAX_PACKET_SECONDS) {
    const found = `a sample table with packets of ${packetSeconds.toFixed(0)} s each`
    throw unreadable(offset + (stts?.body ?? 0), found, `${MAX_PACKET_SECONDS} s at most`)
  }
  // In a fragmented file the header gives no length, or that of the whole; if the index has packets of its own,
  // only theirs.
  const isPartial = isFragmented && listed.packets > 0
  const whole = isPartial ? 0 : (table || units) / scale || movieSeconds(moov, root)
  const warnings: Warning[] = []
  if (table > 0 && units > 0 && Math.abs(table - units) / scale > NOTABLE_SECONDS) {
    warnings.push(contradiction('its header', units / scale, 'its sample table', table / scale))
  }
  const edits = editsOf(moov, find(moov, track, 'edts/elst')[0], offset)
  const media = edits.filter(({ time }) => time >= 0)
  const seconds = whole > 0 ? { seconds: whole } : {}
  if (media.length > 1) {
    const edited = edits.reduce((sum, { units }) => sum + units, 0) / movieTime(moov, root)
    const length = edited > 0 ? { seconds: edited } : seconds
    return { skipSeconds: 0, ...length, ...known, units: 0, warnings, isEdited: true }
  }
  const [edit] = media
  if (edit === undefined) {
    const { skip = 0, length } = gapless(moov)
    const most = length === undefined ? {} : { mostSeconds: length / scale }
    const heard = (all: number) => Math.min(all - skip / scale, most.mostSeconds ?? all)
    return {
      skipSeconds: skip / scale,
      ...most,
      ...known,
      warnings,
      isEdited: false,
      ...lengths(whole, listed.there / scale, heard),
    }
  }
  const movieScale = movieTime(moov, root)
  const empty = edits.slice(0, edits.indexOf(edit)).reduce((sum, { units }) => sum + units, 0)
  const silence = empty / movieScale
  const skip = edit.time / scale
  const most = lengthOf(
    edit.units / movieScale,
    movieScale < scale ? 1 / movieScale : 0,
    whole - skip,
  )
  // If the header contradicts the table already, the same contradiction is not reported twice.
  const isSaid = warnings.length > 0 && units / scale - skip - (most ?? 0) < NOTABLE_SECONDS
  if (most !== undefined && !isSaid && whole > 0 && whole - skip - most > 2 * NOTABLE_SECONDS) {
    warnings.push(contradiction('its edit list', most, 'its sample table', whole - skip))
  }
  const before = silence <= MAX_SILENCE_SECONDS ? silence : 0
  return {
    skipSeconds: skip - before,
    ...(most === undefined ? {} : { mostSeconds: most + silence }),
    ...lengths(
      whole,
      listed.there / scale,
      (all) => before + Math.min(all - skip, most ?? all),
    ),
    ...known,
    warnings,
    isEdited: false,
  }
}

function lengths(whole: number, there: number, heard: (all: number) => number) {
  if (whole <= 0) return {}
  return { seconds: heard(whole), presentSeconds: Math.max(0, heard(Math.min(whole, there))) }
}

/** The default length of a packet in a fragment, units. */
function defaultUnits(moov: Buffer, root: Box): number {
  const [trex] = find(moov, root, 'mvex/trex')
  return trex === undefined || trex.end - trex.body < 16 ? 0 : moov.readUInt32BE(trex.body + 12)
}

/** The length of all fragments, seconds, if the index gives it; else 0. */
function movieSeconds(moov: Buffer, root: Box): number {
  const [mehd] = find(moov, root, 'mvex/mehd')
  const isLong = mehd !== undefined && moov[mehd.body] === 1
  if (mehd === undefined || mehd.end - mehd.body < (isLong ? 12 : 8)) return 0
  return word(moov, mehd.body + 4, isLong) / movieTime(moov, root)
}

function contradiction(one: string, a: number, other: string, b: number): Warning {
  const sentence = `of the M4A ${one} says ${a.toFixed(3)} s, and ${other} ${b.toFixed(3)} s`
  return warning('HEADER_CONTRADICTS', sentence)
}

/**
 * The length of the music by its edit list, which may have coarse units: that of the sample table if they
 * agree, else a shorter one. Undefined if the list gives none.
 */
function lengthOf(seconds: number, unit: number, table: number): number | undefined {
  if (seconds === 0) return undefined
  return Math.abs(seconds - table) <= unit ? table : seconds + unit
}

interface Edit {
  readonly units: number
  /** Below 0: an empty edit, which is silence. */
  readonly time: number
}

function editsOf(moov: Buffer, elst: Box | undefined, offset: number): Edit[] {
  if (elst === undefined || elst.body + 8 > elst.end) return []
  const isLong = moov[elst.body] === 1
  const width = isLong ? 20 : 12
  const room = Math.floor((elst.end - elst.body - 8) / width)
  const count = Math.min(moov.readUInt32BE(elst.body + 4), room)
  if (count > MAX_EDITS) {
    throw unreadable(
      offset + elst.body,
      `an M4A with an edit list of ${count} edits`,
      `${MAX_EDITS} at most`,
    )
  }
  return Array.from({ length: count }, (_, i) => {
    const at = elst.body + 8 + i * width
    const time = isLong ? Number(moov.readBigInt64BE(at + 8)) : moov.readInt32BE(at + 4)
    return { units: word(moov, at, isLong), time }
  })
}

const MAX_EDITS = 1000

function mediaTime(moov: Buffer, mdhd: Box | undefined, offset: number) {
  const isLong = mdhd !== undefined && moov[mdhd.body] === 1
  if (mdhd === undefined || mdhd.end - mdhd.body < (isLong ? 32 : 20))
    return { scale: 1, units: 0 }
  const scale = moov.readUInt32BE(mdhd.body + (isLong ? 20 : 12))
  if (scale === 0) throw unreadable(offset + mdhd.body, 'a time scale of 0', '1 or more')
  const units = word(moov, mdhd.body + (isLong ? 24 : 16), isLong)
  return { scale, units: units < UNKNOWN_32 ? units : 0 }
}

const UNKNOWN_32 = 0xffff_ffff

function movieTime(moov: Buffer, root: Box): number {
  const mvhd = find(moov, root, 'mvhd')[0]
  const at = mvhd === undefined ? 0 : mvhd.body + (moov[mvhd.body] === 1 ? 20 : 12)
  return mvhd === undefined || at + 4 > mvhd.end ? 1000 : moov.readUInt32BE(at) || 1000
}

/**
 * Maximum length of a packet, seconds: the longest one of any accepted codec has 65,535 samples of FLAC at 4
 * kHz. A decoder relies on these times.
 */
const MAX_PACKET_SECONDS = 17
const NO_TABLE = { units: 0, packets: 0, there: 0 }

/** Number of packets, their total length, and the length of the first `most` of them, units. */
function tableUnits(
  moov: Buffer,
  stts: Box | undefined,
  most: number,
): { units: number; packets: number; there: number } {
  if (stts === undefined || stts.body + 8 > stts.end) return NO_TABLE
  const room = Math.floor((stts.end - stts.body - 8) / 8)
  const count = Math.min(moov.readUInt32BE(stts.body + 4), room)
  const found = { units: 0, packets: 0, there: 0 }
  for (let at = stts.body + 8; at < stts.body + 8 + 8 * count; at += 8) {
    const [packets, each] = [moov.readUInt32BE(at), moov.readUInt32BE(at + 4)]
    found.there += Math.max(0, Math.min(packets, most - found.packets)) * each
    found.packets += packets
    found.units += packets * each
  }
  return found
}

/** The delay and the length that iTunes notes in a comment, samples. */
function gapless(moov: Buffer): { skip?: number; length?: number } {
  const at = moov.indexOf('iTunSMPB')
  if (at < 0) return {}
  const text = moov.toString('latin1', at, at + 200)
  const [, delay = '', , length = ''] =
    / [0-9A-F]{8} ([0-9A-F]{8}) ([0-9A-F]{8}) ([0-9A-F]{16})/i.exec(text) ?? []
  const [skip, samples] = [Number.parseInt(delay, 16), Number.parseInt(length, 16)]
  if (!(skip < MAX_DELAY)) return {}
  return samples > 0 ? { skip, length: samples } : { skip }
}

const MAX_DELAY = 16_384
