import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { type Warning, warning } from '#shared/contracts/warnings.ts'
import type { Layout, PcmLayout } from '../formats/layout.ts'

/** The NaN or infinite numbers in a part of a floating-point master. */
export interface NoNumbers {
  /** The first sample of the part, at 44.1 kHz. */
  readonly start: number
  /** Number of such numbers, over all channels. */
  readonly count: number
  /** The first sample that has one, at the master's own rate. */
  readonly first: number
}

/** Counts NaN and infinite numbers per part. The numbers may arrive in pieces of any size. */
export class NoNumbersSeen {
  readonly #layout: PcmLayout
  readonly #partSamples: number
  readonly #from: number
  readonly #parts = new Map<number, NoNumbers>()

  /**
   * @param from the sample of the master, at its own rate, that the first number belongs to
   * @param partSamples length of a part, samples at 44.1 kHz
   */
  constructor(layout: PcmLayout, from: number, partSamples: number) {
    this.#layout = layout
    this.#from = from
    this.#partSamples = partSamples
  }

  /** Counts the number at place `n` behind the first. */
  add(n: number): void {
    const { channels, rate } = this.#layout
    const sample = this.#from + Math.floor(n / channels)
    const at = Math.floor((sample * SAMPLE_RATE) / rate)
    const start = at - (at % this.#partSamples)
    const { count = 0, first = sample } = this.#parts.get(start) ?? {}
    this.#parts.set(start, { start, count: count + 1, first })
  }

  /** The count for the part that begins at `start`; undefined if all its numbers are finite. */
  of(start: number): NoNumbers | undefined {
    return this.#parts.get(start)
  }
}

/** Whether a master can contain NaN or infinite numbers: uncompressed floating-point samples can. */
export function mayHaveNone(layout: Layout): boolean {
  return layout.kind === 'pcm' && layout.encoding === 'float'
}

/** The warnings about a master with these parts, which may come in any order. */
export function noNumberWarnings(
  layout: Layout,
  parts: readonly NoNumbers[],
): readonly Warning[] {
  if (layout.kind !== 'pcm' || parts.length === 0) return []
  const { container, rate, samples, channels } = layout
  const count = parts.reduce((sum, part) => sum + part.count, 0)
  const first = Math.min(...parts.map((part) => part.first))
  const all = samples * channels
  const which =
    count === 1
      ? `one of its ${all} samples is no number or infinite, at`
      : `${count === all ? 'all' : `${count} of`} its ${all} samples are no numbers or infinite, the first at`
  const sentence = `the ${container} is damaged: ${which} ${(first / rate).toFixed(3)} s; silence was put in their place`
  return [warning('DAMAGED', sentence)]
}
