import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { cutShort, mergedWarnings, type Warning, warning } from '#shared/contracts/warnings.ts'
import { anotherFollows } from '../formats/behind.ts'
import type { CodedLayout } from '../formats/layout.ts'
import type { Mp4Walk } from '../formats/mp4/walk.ts'
import { type Noticed, nothingNoticed } from '../formats/noticed.ts'

/** Tolerance for lengths in headers, seconds: they may be rounded and may ignore the encoder's delay. */
const SLACK_SECONDS = 0.5

/**
 * What is missing or wrong in a whole stream. It compares the decoded length with what the file promises, and
 * evaluates what was noticed on the way to the end. The result depends on nothing else, so it is the same,
 * whichever step asks.
 * @param samples the decoded length, samples at 44.1 kHz
 */
export function streamWarnings(
  layout: CodedLayout,
  samples: number,
  noticed: Noticed = nothingNoticed(),
): readonly Warning[] {
  const present = samples / SAMPLE_RATE
  const length = lengthWarnings(layout, present, noticed)
  const frames = frameWarnings(layout, noticed)
  const isShort = length.some(({ code }) => code === 'CUT_SHORT')
  const { isCut: isWithin = false, isShort: isBefore = false } = noticed.walk?.seen ?? {}
  const isCut = endsWithinFrame(layout, noticed) || isWithin || isBefore
  const cut = isCut && !isShort ? [endsWithin(layout, present, noticed)] : []
  const headless = beginWarnings(layout, present, noticed)
  const isDamaged = frames.some(({ code }) => code === 'DAMAGED')
  const decoder = isDamaged ? [] : decoderWarnings(layout, noticed)
  return mergedWarnings(length, frames, cut, headless, decoder)
}

/** The warning about an MP3 whose first frames are missing. If a tag counts the frames, the count decides. */
function beginWarnings(
  { container, tag }: CodedLayout,
  present: number,
  { frames }: Noticed,
): readonly Warning[] {
  const lacking = frames?.reservoir.lacking ?? 0
  if (lacking === 0 || tag !== undefined) return []
  const present_seconds = Math.round(present * 1000) / 1000
  const sentence = `the ${container} is cut short at its beginning: its first frame needs ${lacking} bytes of frames before it, which are not there; ${present_seconds} s are there`
  return [{ code: 'CUT_SHORT', sentence, present_seconds }]
}

function lengthWarnings(
  layout: CodedLayout,
  present: number,
  noticed: Noticed,
): readonly Warning[] {
  const { container, slack = SLACK_SECONDS, warnings } = layout
  const promised = promiseOf(layout, noticed)
  if (noticed.isEndedEarly && warnings === undefined) {
    const sentence = `of the ${container} the edit list ends the music at ${present.toFixed(3)} s, and more is there`
    return [warning('HEADER_CONTRADICTS', sentence)]
  }
  if (promised === undefined) return []
  if (present < promised - slack) {
    const isExplained = promised - present <= lostSeconds(layout, noticed)
    if (isExplained || isOutOfTurn(noticed)) return []
    const short = cutShort(`the ${container}`, promised, present)
    if (layout.isWhole !== true && !isEndThere(layout, promised, noticed)) return [short]
    const { promised_seconds, present_seconds } = short
    const sentence = `the ${container} is damaged: of the ${promised_seconds} s that its header promises ${present_seconds} s can be decoded`
    return [{ ...short, code: 'DAMAGED', sentence }]
  }
  // Fragments whose headers are damaged may have been located in another way.
  const isKnown = noticed.walk === undefined || layout.seconds !== undefined
  if (present <= promised + SLACK_SECONDS || !isKnown) return []
  // The index of the M4A has reported this contradiction already.
  if (container === 'M4A' && isContradicted(warnings)) return []
  const [less, more] = [promised.toFixed(3), present.toFixed(3)]
  const sentence = `the header of the ${container} promises ${less} s, and ${more} s are there, all of which were taken`
  return [warning('HEADER_CONTRADICTS', sentence)]
}

function isContradicted(warnings: readonly Warning[] = []): boolean {
  return warnings.some(({ code }) => code === 'HEADER_CONTRADICTS')
}

/**
 * The length of the music by its headers, seconds; of fragments, by the headers of all fragments that are
 * there.
 */
function promiseOf(layout: CodedLayout, { walk }: Noticed): number | undefined {
  const { seconds, promised = seconds, fragments, skip = 0, rate, samples } = layout
  if (walk === undefined || fragments === undefined) return promised
  const said = (fragments.units + walk.seen.units) / fragments.scale - skip / rate
  const most = samples === undefined ? said : Math.min(said, samples / rate)
  return Math.max(0, most, promised ?? 0)
}

/** Whether fragments are repeated or out of order. How much of them is decoded then depends on the muxer. */
function isOutOfTurn({ walk }: Noticed): boolean {
  return walk !== undefined && (walk.times.misplaced > 0 || walk.seen.againAt !== undefined)
}

/** Whether the last fragment of a sound file is there, by the times in its fragments. */
function isEndThere(
  { slack = SLACK_SECONDS, fragments, skip = 0, rate }: CodedLayout,
  promised: number,
  { walk }: Noticed,
): boolean {
  if (walk === undefined || fragments === undefined || walk.seen.isCut) return false
  const { reach = 0 } = walk.times
  return reach / fragments.scale - skip / rate >= promised - slack
}

/** How much may be missing because of damage within the stream, seconds, so that its end is there nevertheless. */
function lostSeconds(
  { sift, slack = 0, tag, isWhole, fragments, feed: [range] }: CodedLayout,
  { undecodable, faults, frames, walk }: Noticed,
): number {
  if (walk !== undefined && fragments !== undefined) {
    const { lost, late } = walk.times
    return (lost + late) / fragments.scale + undecodable * slack
  }
  if (isWhole === true && undecodable + faults > 0) return Number.POSITIVE_INFINITY
  if (sift === undefined || frames === undefined || frames.frames === 0) {
    return undecodable * slack
  }
  const { bytes, end, lostBytes, behindBytes, lostPlaces } = frames
  const each = bytes / frames.frames
  const start = range === undefined || range instanceof Uint8Array ? 0 : range.start
  const isThere =
    lostPlaces > 0 && tag?.bytes !== undefined && end - start > tag.bytes - 2 * each
  if (isThere) return Number.POSITIVE_INFINITY
  const lost = (lostBytes + behindBytes) / each
  return ((lost + 2 * lostPlaces + undecodable) * sift.samples) / sift.rate
}

/** Whether all frames that the encoder has counted are there. Then bytes between frames are not lost music. */
function isComplete({ tag }: CodedLayout, { frames }: Noticed): boolean {
  return tag?.frames !== undefined && tag.frames === frames?.frames
}

function frameWarnings(layout: CodedLayout, noticed: Noticed): readonly Warning[] {
  const { container, sift, tag } = layout
  const { frames } = noticed
  if (sift === undefined || frames === undefined) return []
  const found: Warning[] = []
  const { other, lostBytes, lostPlaces, lostAt, lostAfter = 0 } = frames
  if (other !== undefined) {
    found.push(anotherFollows(`the frames of the ${container}`, other, other.at + other.bytes))
  }
  const damaged = (what: string) =>
    found.push(warning('DAMAGED', `the ${container} is damaged: ${what}`))
  if (isComplete(layout, noticed)) {
    const isAll = lostPlaces === 0 && tag?.bytes === frames.bytes + sift.bytes
    if (isAll && tag.crc !== undefined && tag.crc !== frames.crc && !frames.isRegained) {
      damaged('its frames do not come to the checksum that its encoder wrote')
    }
    return found
  }
  if (lostPlaces > 0) {
    const second = ((lostAfter * sift.samples) / sift.rate).toFixed(3)
    const where =
      lostPlaces === 1
        ? `at byte ${lostAt}`
        : `in ${lostPlaces} places, the first at byte ${lostAt}`
    damaged(
      `${lostBytes} bytes ${where} (second ${second}) are no frames, and what they held is left out`,
    )
  }
  const { overlaps, firstAfter = 0 } = frames.reservoir
  // If a tag counts the frames, the count decides.
  if (overlaps > 0 && tag === undefined) {
    const second = ((firstAfter * sift.samples) / sift.rate).toFixed(3)
    const where =
      overlaps === 1
        ? `at second ${second}`
        : `in ${overlaps} places, the first at second ${second}`
    damaged(
      `frames are missing or wrong ${where}: what stands there takes more from those before it than they have`,
    )
  }
  if (frames.behindBytes >= sift.bytes) {
    damaged(
      `the ${frames.behindBytes} bytes behind its last frame, from byte ${frames.behindAt} on, are no frames`,
    )
  }
  return found
}

/** Whether the stream ends within a frame. For a WAV, the header reports its cut. */
function endsWithinFrame(layout: CodedLayout, noticed: Noticed): boolean {
  const isCut = noticed.frames?.isCut === true && layout.container !== 'WAV'
  return isCut && !isComplete(layout, noticed)
}

function endsWithin({ container }: CodedLayout, present: number, { walk }: Noticed): Warning {
  const present_seconds = Math.round(present * 1000) / 1000
  const where =
    walk === undefined
      ? 'within a frame'
      : walk.seen.isCut
        ? 'within a fragment'
        : 'before the end of its index of segments'
  const sentence = `the ${container} is cut short: it ends ${where}, and ${present_seconds} s are there`
  return { code: 'CUT_SHORT', sentence, present_seconds }
}

/** Demuxers whose decoders complain only of real damage. Ogg is judged by its pages, and ADPCM has no check. */
const TELLING = ['mp3', 'aac', 'mov', 'flac']

function decoderWarnings(layout: CodedLayout, noticed: Noticed): readonly Warning[] {
  const { container, demuxer, empty = 0 } = layout
  const { walk } = noticed
  if (!TELLING.includes(demuxer)) return []
  const damaged = (what: string) => warning('DAMAGED', `the ${container} is damaged: ${what}`)
  const found: Warning[] = []
  if (walk?.seen.isBroken) {
    found.push(
      damaged(
        `there is no box at byte ${walk.seen.endAt}, and fragments behind it are left out`,
      ),
    )
  }
  if (walk !== undefined) found.push(...fragmentFaults(walk).map(damaged))
  // At the cut, one packet is incomplete, and the demuxer misses it.
  const isCut = layout.isCut === true || walk?.seen.isCut === true
  const lost = noticed.undecodable - empty - (isCut ? 1 : 0)
  if (lost === 1) found.push(damaged('one of its packets can not be decoded, and was left out'))
  else if (lost > 1) {
    found.push(damaged(`${lost} of its packets can not be decoded, and were left out`))
  } else if (noticed.faults > 0 && !isCut && empty === 0 && found.length === 0) {
    found.push(damaged('its decoder finds faults in it'))
  }
  return found
}

/** The faults in the start times of fragments. */
function fragmentFaults({ times, scale }: Mp4Walk): readonly string[] {
  const { misplaced, lost, late } = times
  const seconds = (units: number) => (units / scale).toFixed(3)
  const faults: string[] = []
  if (misplaced > 0) {
    const which =
      misplaced === 1 ? 'one of its fragments comes' : `${misplaced} of its fragments come`
    faults.push(`${which} twice or out of turn, and parts of them may be left out`)
  }
  if (lost > 0) faults.push(`between its fragments ${seconds(lost)} s are missing`)
  if (late > 0) faults.push(`its first fragments are missing, ${seconds(late)} s`)
  return faults
}
