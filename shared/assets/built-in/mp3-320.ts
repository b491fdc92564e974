import { defineDerivative } from '../definition.ts'

export default defineDerivative({
  id: 'mp3-320',
  version: 1,
  stage: 'encode',
  title: 'MP3 320 kb/s, constant bit rate, that plays without gaps',
  files: { mp3: 'audio/mpeg' },
  cost: { fixedMs: 150, msPerSecond: 13 },
  render: async (tools) => ({ mp3: await tools.mp3(tools.pcm, 320_000) }),
})
