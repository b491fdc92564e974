import { SAMPLE_RATE } from '../../../contracts/pcm-format.ts'
import { type Peaks, RECORD_SAMPLES } from './peaks.ts'

const MAX_POINTS = 4096

/**
 * The number of samples in one point of the JSON: the least multiple of 256 that yields at most 4096 points. It is 256
 * up to 23 s and 4864 for 7 min, and the JSON is never longer than about 35 KB.
 */
function samplesPerPixel(samples: number): number {
  return RECORD_SAMPLES * Math.max(1, Math.ceil(samples / (RECORD_SAMPLES * MAX_POINTS)))
}

/**
 * A waveform in the format of audiowaveform (JSON, version 2, 8 bits, one channel: the mean of both), for peaks.js,
 * wavesurfer.js and the like: the minimum and the maximum of each point in turn, −128 to 127.
 * Source: BBC audiowaveform, doc/DataFormat.md.
 */
export function waveformJson(peaks: Peaks, samples: number): string {
  const perPixel = samplesPerPixel(samples)
  const step = perPixel / RECORD_SAMPLES
  const pairs: number[] = []
  for (let at = 0; at < peaks.records; at += step) {
    let [low, high] = [32_767, -32_768]
    for (let i = at; i < Math.min(peaks.records, at + step); i++) {
      low = Math.min(low, peaks.mixLow[i] ?? 0)
      high = Math.max(high, peaks.mixHigh[i] ?? 0)
    }
    pairs.push((low / 256) | 0, (high / 256) | 0)
  }
  return JSON.stringify({
    version: 2,
    channels: 1,
    sample_rate: SAMPLE_RATE,
    samples_per_pixel: perPixel,
    bits: 8,
    length: pairs.length / 2,
    data: pairs,
  })
}
