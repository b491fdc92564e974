/** No audio work: what is left is the chain itself. */
export default {
  id: 'nothing-analyzed',
  version: 1,
  stage: 'analyze',
  title: 'Nothing, for benchmarks of the chain',
  files: { json: 'application/json' },
  result: true,
  cost: { fixedMs: 1, msPerSecond: 0 },
  render: async () => ({ json: Buffer.from('{}') }),
}
