import { tempoText } from '#shared/audio/tempo-decimals.ts'
import { LIKELY } from '#shared/contracts/likely.ts'

/** A sentence for people that explains the question mark. */
export const MARK_LEGEND = `? after a tempo or key: less likely than ${LIKELY * 100} %.`

/** A finding, with a question mark where it is less likely than not. */
export function marked(text: string, confidence: number | null | undefined): string {
  return typeof confidence === 'number' && confidence < LIKELY ? `${text}?` : text
}

/** A tempo with as many decimals as its length allows, and the mark. */
export function markedTempo(
  bpm: number,
  confidence: number | null | undefined,
  error: number | null | undefined,
): string {
  return marked(tempoText(bpm, error), confidence)
}
