import { type Peaks, RECORD_SAMPLES } from './peaks.ts'
import { png } from './png.ts'

const WIDTH = 1800
const HEIGHT = 280
/** Blank rows above and below, so that full scale does not touch the edge. */
const MARGIN = 6
/** The number of columns that are averaged to one, which smooths the outline. */
const OVERSAMPLING = 3

type Colour = readonly [red: number, green: number, blue: number]
const PAPER: Colour = [255, 255, 255]
const PEAK: Colour = [140, 180, 230]
const BODY: Colour = [28, 84, 158]
const LINE: Colour = [206, 214, 224]

/**
 * A picture of a track, 1800 × 280 pixels on white: the envelope of the peaks of both channels, inside it the RMS
 * level, on a line of silence. The height is full scale.
 */
export function waveformPicture(peaks: Peaks, samples: number): Uint8Array {
  const pixels = new Uint8Array(WIDTH * HEIGHT * 3).fill(255)
  const middle = HEIGHT / 2
  const reach = middle - MARGIN
  const count = WIDTH * OVERSAMPLING
  // Each column covers the width of a whole pixel, so that a single peak stays visible.
  const subcolumns = Array.from({ length: count }, (_, i) => {
    const { low, high, rms } = column(
      peaks,
      samples,
      Math.max(0, i - 1) / count,
      Math.min(count, i + 2) / count,
    )
    return {
      top: middle - high * reach,
      bottom: middle - low * reach,
      bodyTop: middle - Math.min(rms, high) * reach,
      bodyBottom: middle - Math.max(-rms, low) * reach,
    }
  })
  for (let x = 0; x < WIDTH; x++) {
    const here = subcolumns.slice(x * OVERSAMPLING, (x + 1) * OVERSAMPLING)
    let before = { peak: 0, body: 0, line: 0, colour: PAPER }
    for (let y = 0; y < HEIGHT; y++) {
      let [peak, body] = [0, 0]
      for (const { top, bottom, bodyTop, bodyBottom } of here) {
        peak += covered(y, top, bottom)
        body += covered(y, bodyTop, bodyBottom)
      }
      const line = covered(y, middle - 0.5, middle + 0.5)
      // Most rows are equal to the one above.
      if (peak !== before.peak || body !== before.body || line !== before.line) {
        const colour = over(
          over(over(PAPER, LINE, line), PEAK, peak / OVERSAMPLING),
          BODY,
          body / OVERSAMPLING,
        )
        before = { peak, body, line, colour }
      }
      pixels.set(before.colour, (y * WIDTH + x) * 3)
    }
  }
  return png(WIDTH, HEIGHT, pixels)
}

/** The lowest and the highest sample and the RMS level between two positions (0 to 1 of the track). Full scale is 1. */
function column(
  peaks: Peaks,
  samples: number,
  from: number,
  to: number,
): { low: number; high: number; rms: number } {
  const first = Math.min(peaks.records - 1, Math.floor(from * peaks.records))
  const end = Math.max(first + 1, Math.floor(to * peaks.records))
  let [low, high, energy] = [0, 0, 0]
  for (let i = first; i < end; i++) {
    low = Math.min(low, peaks.lowest[i] ?? 0)
    high = Math.max(high, peaks.highest[i] ?? 0)
    energy += peaks.energy[i] ?? 0
  }
  const numbers = 2 * (Math.min(samples, end * RECORD_SAMPLES) - first * RECORD_SAMPLES)
  return { low: low / 32_768, high: high / 32_768, rms: Math.sqrt(energy / numbers) / 32_768 }
}

/** How much of the row of pixels `y` lies between two heights, 0 to 1. */
function covered(y: number, top: number, bottom: number): number {
  return Math.max(0, Math.min(y + 1, bottom) - Math.max(y, top))
}

function over([r, g, b]: Colour, [red, green, blue]: Colour, amount: number): Colour {
  return [r + (red - r) * amount, g + (green - g) * amount, b + (blue - b) * amount]
}
