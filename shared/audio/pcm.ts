/**
 * A track as 16-bit 44.1 kHz stereo, whatever the format of its master. "Sample" always means one instant of both
 * channels: `read(0, 44100)` is one second and 88,200 numbers.
 */
export interface PcmSource {
  /** The length of the track in samples, from 1. */
  readonly samples: number
  /**
   * Reads the samples [start, end), left and right interleaved: exactly 2 × (end − start) numbers, which must not be
   * written to. `into`, if given, must have that length; it is filled and returned, which saves allocating memory.
   */
  read(
    start: number,
    end: number,
    signal?: AbortSignal,
    into?: Int16Array<ArrayBuffer>,
  ): Promise<Int16Array>
  /** Reads the samples [start, end) in pieces of at most `size` samples. Default: 65,536. */
  chunks(
    start: number,
    end: number,
    options?: { size?: number; signal?: AbortSignal },
  ): AsyncIterable<Int16Array>
}
