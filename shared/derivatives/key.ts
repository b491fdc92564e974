import { defineDerivative } from '../derivative.ts'

export default defineDerivative({
  id: 'key',
  version: 2,
  stage: 'analyze',
  title:
    'Musical key of the track and of its parts, also in Camelot notation (and Open Key), with confidence and tuning',
  files: { json: 'application/json' },
  result: true,
  cost: { fixedMs: 200, msPerSecond: 2.5, mostMs: 1700 },
  async render(tools) {
    const json = JSON.stringify(await tools.key())
    return { json: new TextEncoder().encode(`${json}\n`) }
  },
})
