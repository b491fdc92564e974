import { defineDerivative } from '../derivative.ts'

export default defineDerivative({
  id: 'bpm',
  version: 1,
  stage: 'analyze',
  title: 'Tempo in beats per minute, to 0.01, with a confidence',
  files: { json: 'application/json' },
  result: true,
  cost: { fixedMs: 1200, msPerSecond: 1.5, mostMs: 2100 },
  async render(tools) {
    const { bpm, confidence, reason, windows } = await tools.tempo()
    const json = JSON.stringify({ bpm, confidence, reason, windows })
    return { json: new TextEncoder().encode(`${json}\n`) }
  },
})
