/**
 * A track as 16-bit 44.1 kHz stereo, whatever its master is. "Sample" means one instant of both
 * channels throughout: `read(0, 44100)` is one second and 88,200 numbers.
 */
export interface PcmSource {
  /** Length of the track in samples, ≥ 1. */
  readonly samples: number
  /**
   * Interleaved left, right of the samples [start, end); exactly 2 × (end − start) numbers, not to be written to.
   * `into`, which has room for as many, is filled and returned: memory that is used again costs less than new.
   */
  read(
    start: number,
    end: number,
    signal?: AbortSignal,
    into?: Int16Array<ArrayBuffer>,
  ): Promise<Int16Array>
  /** The samples [start, end) in pieces of at most `size` samples (65,536 unless told). */
  chunks(
    start: number,
    end: number,
    options?: { size?: number; signal?: AbortSignal },
  ): AsyncIterable<Int16Array>
}
