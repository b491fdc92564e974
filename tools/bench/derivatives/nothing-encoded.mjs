/** No audio work: what is left is the chain itself. */
export default {
  id: 'nothing-encoded',
  version: 1,
  stage: 'encode',
  title: 'Nothing, for benchmarks of the chain',
  files: { bin: 'application/octet-stream' },
  cost: { fixedMs: 1, msPerSecond: 0 },
  render: async () => ({ bin: Buffer.from([0]) }),
}
