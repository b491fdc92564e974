/**
 * The numbers that the bytes of the logarithmic encodings stand for, as shares of full scale. Source: ITU-T G.711
 * (1988), tables 1a to 2b.
 */
export const LAWS = {
  alaw: Float64Array.from({ length: 256 }, (_, byte) => {
    const bits = byte ^ 0x55
    const segment = (bits >> 4) & 7
    const step = ((bits & 15) << 4) + 8
    const size = segment === 0 ? step : (step + 0x100) << (segment - 1)
    return ((bits & 0x80) === 0 ? -size : size) / 0x8000
  }),
  mulaw: Float64Array.from({ length: 256 }, (_, byte) => {
    const bits = ~byte
    const size = ((((bits & 15) << 3) + 0x84) << ((bits >> 4) & 7)) - 0x84
    return ((bits & 0x80) === 0 ? size : -size) / 0x8000
  }),
}
