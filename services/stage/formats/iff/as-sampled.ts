import { mergedWarnings, type Warning, warning } from '#shared/contracts/warnings.ts'
import { type ByteWindow, unreadable } from '../byte-window.ts'
import type { PcmLayout } from '../layout.ts'
import { alignment } from './alignment.ts'
import { type Format, pcm, withWarnings } from './chunks.ts'
import { lowNumbers } from './low-numbers.ts'
import { type Middle, middleOf, otherReading } from './other-reading.ts'
import type { Declared, Reading } from './reading.ts'
import type { SoundSize } from './sound.ts'

/** How samples are read, and what is said about it. */
export interface Sampled<Said> {
  readonly format: Said
  /** Number of bytes by which the samples begin behind the place that the header gives. Absent: 0. */
  readonly late?: number
  readonly contradicts?: string
  readonly damaged?: Warning
}

interface Place extends Pick<Declared, 'offset' | 'bytes' | 'isWidthKnown'> {
  readonly container: string
  readonly rate: number
  /** Bits that are in use according to the header. Absent: all. */
  readonly usedBits?: number
}

/**
 * The format of a consistent header, corrected if the samples prove another one, and what is wrong with them. In
 * sound masters two places are read.
 * @param known the middle, if it has been looked at and `asAligned` has found nothing
 */
export async function asSampled<Said extends Reading & Pick<Declared, 'channels'>>(
  window: ByteWindow,
  format: Said,
  place: Place,
  known?: Middle,
): Promise<Sampled<Said>> {
  const declared = { ...format, ...place }
  const middle = known ?? (await middleOf(window, declared))
  const moved = known === undefined ? await asAligned(window, format, place, middle) : undefined
  if (moved !== undefined) return moved
  const other = await otherReading(window, declared, middle)
  if (other !== undefined) {
    return { format: { ...format, ...other.as }, contradicts: other.contradicts }
  }
  const { usedBits = format.bits } = place
  const contradicts = await lowNumbers(window, { ...declared, usedBits }, middle.own.peak)
  return contradicts === undefined ? { format } : { format, contradicts }
}

/**
 * What is wrong with samples whose numbers begin elsewhere than declared; undefined where they do not.
 * @throws PermanentError MASTER_UNREADABLE when a transfer in text mode has made noise of all of them
 */
export async function asAligned<Said extends Reading & Pick<Declared, 'channels'>>(
  window: ByteWindow,
  format: Said,
  place: Place,
  middle: Middle,
): Promise<Sampled<Said> | undefined> {
  const { container, rate } = place
  const found = await alignment(window, { ...format, ...place }, middle)
  const { isText = false, late, damagedAt } = found ?? {}
  if (isText) {
    const wrong = 'samples that were sent as text, which has put a byte before each line feed'
    throw unreadable(
      place.offset,
      wrong,
      'samples as they were written (a transfer in binary mode)',
    )
  }
  if (damagedAt !== undefined) {
    const block = (format.bits / 8) * format.channels
    const second = (damagedAt / block / rate).toFixed(1)
    const sentence = `the ${container} is damaged: at about ${second} s a byte of its samples is missing, or there is one too many, and what follows is noise`
    return { format, damaged: warning('DAMAGED', sentence) }
  }
  if (late === undefined) return undefined
  const by = late === 1 ? 'a byte' : `${late} bytes`
  const contradicts = `the samples of the ${container} begin ${by} behind the place that its header gives; they were read from there`
  return { format, late, contradicts }
}

/** The layout of samples, as `pcm` makes it, with what the samples have shown. */
export function sampledPcm(
  container: PcmLayout['container'],
  { format, late = 0, damaged }: Sampled<Format>,
  offset: number,
  size: SoundSize,
  contradictions: readonly (string | undefined)[],
): PcmLayout {
  const moved = { ...size, bytes: Math.max(0, size.bytes - late) }
  const layout = pcm(container, format, offset + late, moved, contradictions)
  return damaged === undefined
    ? layout
    : withWarnings(layout, mergedWarnings(layout.warnings, [damaged]))
}
