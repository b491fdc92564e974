import { defineDerivative } from '../definition.ts'

export default defineDerivative({
  id: 'flac',
  version: 1,
  stage: 'encode',
  title: 'FLAC of 16-bit 44.1 kHz stereo, with the MD5 of the samples',
  files: { flac: 'audio/flac' },
  cost: { fixedMs: 150, msPerSecond: 6 },
  render: async (tools) => ({ flac: await tools.flac(tools.pcm) }),
})
