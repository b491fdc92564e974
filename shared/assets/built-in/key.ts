import { defineDerivative } from '../definition.ts'

export default defineDerivative({
  id: 'key',
  version: 3,
  stage: 'analyze',
  title:
    'Musical key of the track and of its parts, also in Camelot notation (and Open Key), with confidence and tuning',
  files: { json: 'application/json' },
  result: true,
  cost: { fixedMs: 300, msPerSecond: 3, mostMs: 2100 },
  async render(tools) {
    const json = JSON.stringify(await tools.key())
    return { json: new TextEncoder().encode(`${json}\n`) }
  },
})
