import { existsSync } from 'node:fs'
import t from 'tap'
import { DOES, MAKING_STAGES, nextStage, STAGES } from '#shared/contracts/stages.ts'

t.test('a row of the stages has a service and manifests', async (t) => {
  for (const stage of STAGES)
    for (const path of [`services/${stage}/main.ts`, `k8s/base/route/${stage}.yaml`])
      t.ok(existsSync(new URL(`../../../${path}`, import.meta.url)), path)
  t.same(Object.keys(DOES), ['ingest', ...STAGES, 'publish'])
})

t.test('a plan goes to the stages that have steps, in the order of the table', async (t) => {
  const [first, second] = MAKING_STAGES
  const [both, none] = [
    { analyze: [[0]], encode: [[1]] },
    { analyze: [], encode: [] },
  ]
  t.equal(nextStage(both), first)
  t.equal(nextStage(both, first), second)
  t.equal(nextStage(both, second), undefined)
  t.equal(nextStage({ ...none, encode: [[1]] }), second)
  t.equal(nextStage(none), undefined)
})
