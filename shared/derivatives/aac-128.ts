import { defineDerivative } from '../derivative.ts'

const BITRATE = 128_000
/** 5,120 packets of 1024 samples. Part of what version 1 is: another grid makes other bytes. */
const GRID = 5_120 * 1024

export default defineDerivative({
  id: 'aac-128',
  version: 1,
  stage: 'encode',
  title: 'AAC-LC 128 kb/s in an .m4a that streams and plays without gaps',
  files: { m4a: 'audio/mp4' },
  // 9 on the reference, and what a core loses that computes beside its twin.
  cost: { fixedMs: 200, msPerSecond: 12 },
  grid: GRID,
  part: (range, tools) => tools.aacPackets(range, BITRATE),
  join: async (parts, tools) => ({ m4a: await tools.aacJoin(parts, tools.pcm.samples) }),
})
