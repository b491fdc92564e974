import { candidateTempos, prominence, pulsation } from './metre.ts'
import type { Passage } from './passage.ts'

/**
 * Minimum prominence of a beat, standard deviations above noise. Noise reaches 4, speech mostly 7; music seldom
 * has less than 8.
 */
const MIN_PROMINENCE = 7.5
/** Minimum root mean square of the onsets. Held chords have 0.04, music 0.2. */
const MIN_ONSETS = 0.1

/** Whether a passage has onsets, with pulses that noise would not have. */
export function pulses({ all, strength, segments }: Passage): boolean {
  let squares = 0
  let frames = 0
  for (const envelope of all) {
    for (const onset of envelope) squares += onset * onset
    frames += envelope.length
  }
  if (Math.sqrt(squares / Math.max(1, frames)) < MIN_ONSETS) return false
  const clearest = Math.max(
    0,
    ...candidateTempos(strength).map((bpm) => pulsation(strength, bpm)),
  )
  return prominence(clearest, segments.length) >= MIN_PROMINENCE
}
