/** The sample rate for all steps after `stage`, Hz. */
export const SAMPLE_RATE = 44_100
/** Bytes of one sample of both channels, 16 bits each. */
export const BYTES_PER_SAMPLE = 4
