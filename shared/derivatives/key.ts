import { defineDerivative } from '../derivative.ts'

export default defineDerivative({
  id: 'key',
  version: 1,
  stage: 'analyze',
  title: 'Musical key, also in Camelot and Open Key notation, with a confidence',
  files: { json: 'application/json' },
  result: true,
  cost: { fixedMs: 200, msPerSecond: 2.5, mostMs: 1700 },
  async render(tools) {
    const { key, tonic, scale, camelot, openKey, confidence, reason } = await tools.key()
    const json = JSON.stringify({ key, tonic, scale, camelot, openKey, confidence, reason })
    return { json: new TextEncoder().encode(`${json}\n`) }
  },
})
