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
    const estimate = await tools.key()
    const { key, tonic, scale, camelot, openKey, confidence, reason } = estimate
    const { tuningHz, keyOverTime } = estimate
    const json = JSON.stringify({
      ...{ key, tonic, scale, camelot, openKey, confidence, reason },
      ...{ tuningHz, keyOverTime },
    })
    return { json: new TextEncoder().encode(`${json}\n`) }
  },
})
