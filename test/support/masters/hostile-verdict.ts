/** The expected verdict on a master: accepted with a number of samples at 44.1 kHz, or refused with a code. */
export type Verdict =
  | {
      readonly samples: number | Span
      readonly peak?: number
      /** Codes of the warnings that its header and its length give rise to. */
      readonly warnings?: readonly string[]
    }
  | { readonly code: string; readonly says: RegExp }

/** From the least to the most. */
type Span = readonly [least: number, most: number]

/** Bytes, or what puts something at a path that is more than bytes. */
type Master = Buffer | ((path: string) => Promise<unknown>)

export type Row = readonly [name: string, master: Master, verdict: Verdict]

/** `peak`: the loudest number that comes out. */
export function accepted(samples: number | Span, peak?: number): Verdict {
  return peak === undefined ? { samples } : { samples, peak }
}

/** Accepted with warnings of these codes. */
export function warned(samples: number | Span, ...warnings: readonly string[]): Verdict {
  return { samples, warnings }
}

/** `says`: what the sentence must name. */
export function refused(says: RegExp, code = 'MASTER_UNREADABLE'): Verdict {
  return { code, says }
}
