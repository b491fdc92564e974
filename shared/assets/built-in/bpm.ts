import { defineDerivative } from '../definition.ts'

export default defineDerivative({
  id: 'bpm',
  version: 4,
  stage: 'analyze',
  title:
    'Tempo in beats per minute, as exact as the length allows, with its confidence, first beat and course over time',
  files: { json: 'application/json' },
  result: true,
  cost: { fixedMs: 1200, msPerSecond: 2, mostMs: 2400 },
  async render(tools) {
    const json = JSON.stringify(await tools.tempo())
    return { json: new TextEncoder().encode(`${json}\n`) }
  },
})
