import { defineDerivative } from '../definition.ts'
import { loudnessOf } from './loudness/measure.ts'
import { loudnessPart, unpackLoudness } from './loudness/parts.ts'

/** 238 s. Part of what version 1 is: filters begin anew at each cell. */
const GRID = 10_240 * 1024

export default defineDerivative({
  id: 'loudness',
  version: 1,
  stage: 'analyze',
  title: 'Loudness (LUFS), loudness range and true peak, as EBU R 128 has them',
  files: { json: 'application/json' },
  result: true,
  // Music takes 0.8 ms a second; noise at full scale, where every interval may hold the peak, 4.
  cost: { fixedMs: 50, msPerSecond: 2 },
  grid: GRID,
  part: (range, { pcm, signal }) => loudnessPart(pcm, range, GRID, signal),
  async join(parts) {
    const json = JSON.stringify(loudnessOf(unpackLoudness(await Array.fromAsync(parts))))
    return { json: new TextEncoder().encode(`${json}\n`) }
  },
})
