import { AAC_GRID, defineDerivative } from '../definition.ts'
import { waveformJson } from './waveform/json.ts'
import { packPeaks, peaksOf, unpackPeaks } from './waveform/peaks.ts'
import { waveformPicture } from './waveform/picture.ts'

export default defineDerivative({
  id: 'waveform',
  version: 1,
  stage: 'encode',
  title: 'Peaks as JSON for players (as audiowaveform writes it) and as a picture',
  files: { json: 'application/json', png: 'image/png' },
  // Computing takes 0.5 ms per second of audio; the rest is for reading the samples at 150 MB/s.
  cost: { fixedMs: 100, msPerSecond: 1.1 },
  // The grid of aac-128, so that a step that makes both reads the same samples.
  grid: AAC_GRID,
  part: async (range, { pcm, signal }) => packPeaks(await peaksOf(pcm, range, signal)),
  join: async (parts, { pcm }) => {
    const peaks = unpackPeaks(await Array.fromAsync(parts))
    return {
      json: Buffer.from(waveformJson(peaks, pcm.samples)),
      png: waveformPicture(peaks, pcm.samples),
    }
  },
})
