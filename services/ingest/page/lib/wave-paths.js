/** @import { Tempo, Waveform } from './types.d.ts' */

/** Width of a bar with the gap behind it, px. */
const BAR_PX = 4
/** Minimum distance of beats that are drawn, px. */
const CLOSE_PX = 12

/**
 * The visible part of a track of `seconds` s: `width` px from `from` s on, with `perSecond` px per second.
 * @typedef {{ seconds: number, from: number, perSecond: number, width: number, height: number }} View
 */

/**
 * Vertical bars around the middle, each as high as the loudest point that it covers.
 * @param {Waveform} wave
 * @param {View} view
 */
export function barsPath({ data, length, sample_rate, samples_per_pixel }, view) {
  const { from, perSecond, width, height } = view
  const points = sample_rate / samples_per_pixel
  // Bars have fixed places in the track, so that they do not flicker when the view moves.
  const first = Math.floor((from * perSecond) / BAR_PX)
  const middle = height / 2
  let path = ''
  for (let bar = first; (bar - first) * BAR_PX < width + BAR_PX; bar++) {
    const start = Math.floor(((bar * BAR_PX) / perSecond) * points)
    const end = Math.max(start + 1, Math.floor((((bar + 1) * BAR_PX) / perSecond) * points))
    if (start >= length) break
    let peak = 0
    for (let i = start; i < Math.min(end, length); i++) {
      peak = Math.max(peak, -(data[2 * i] ?? 0), data[2 * i + 1] ?? 0)
    }
    const x = (bar * BAR_PX + BAR_PX / 2 - from * perSecond).toFixed(1)
    const half = Math.max(0.5, (peak / 128) * (middle - 4))
    path += `M${x} ${(middle - half).toFixed(1)}V${(middle + half).toFixed(1)}`
  }
  return path
}

/**
 * A line at each beat; beat n is at firstBeatMs + n × 60000 / bpm. Empty if the lines would be too close.
 * @param {Tempo | undefined} tempo
 * @param {View} view
 */
export function beatsPath(tempo, { seconds, from, perSecond, width, height }) {
  const { bpm, firstBeatMs } = tempo ?? {}
  if (typeof bpm !== 'number' || typeof firstBeatMs !== 'number') return ''
  const period = 60 / bpm
  if (period * perSecond < CLOSE_PX) return ''
  const first = firstBeatMs / 1000
  let path = ''
  for (let n = Math.max(0, Math.ceil((from - first) / period)); ; n++) {
    const at = first + n * period
    const x = (at - from) * perSecond
    if (at > seconds || x > width) return path
    path += `M${x.toFixed(1)} 0V${height}`
  }
}
