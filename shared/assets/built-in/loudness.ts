import { defineDerivative } from '../definition.ts'
import { loudnessOf } from './loudness/measure.ts'
import { loudnessPart, unpackLoudness } from './loudness/parts.ts'

/** Samples of a cell, 238 s. It is part of version 1, because the filters start anew at each cell. */
const GRID = 10_240 * 1024

export default defineDerivative({
  id: 'loudness',
  version: 1,
  stage: 'analyze',
  title: 'Loudness (LUFS), loudness range and true peak, as EBU R 128 has them',
  files: { json: 'application/json' },
  result: true,
  // Music takes 0.8 ms per second of audio; noise at full scale, where every interval may hold the peak, takes 4 ms.
  cost: { fixedMs: 50, msPerSecond: 2 },
  grid: GRID,
  part: (range, { pcm, signal }) => loudnessPart(pcm, range, GRID, signal),
  async join(parts) {
    const json = JSON.stringify(loudnessOf(unpackLoudness(await Array.fromAsync(parts))))
    return { json: new TextEncoder().encode(`${json}\n`) }
  },
})
