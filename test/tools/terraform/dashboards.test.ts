import { globSync, readFileSync } from 'node:fs'
import t from 'tap'
import { dashboardFaults } from './strict-dashboard.ts'

const DASHBOARDS = globSync('terraform/dashboards/*.json')

t.test('every dashboard keeps to the published proto of Cloud Monitoring', async (t) => {
  t.ok(DASHBOARDS.length >= 3)
  for (const file of DASHBOARDS)
    t.same(dashboardFaults(JSON.parse(readFileSync(file, 'utf8'))), [], file)
})

t.test(
  'fields that the proto does not have, or has with another type, are reported',
  async (t) => {
    const text = readFileSync('terraform/dashboards/steps.json', 'utf8')
    for (const [from, to, fault] of [
      ['"displayName"', '"title"', /dashboard\.(title: unknown|displayName: is missing)/],
      ['"prometheusQuery"', '"promql"', /timeSeriesQuery\.promql: unknown/],
      ['"plotType": "LINE"', '"plotType": "LINES"', /plotType: LINES is no value/],
      ['"columns": 48', '"columns": "48"', /columns: a int32 is expected/],
      ['"width": 16', '"width": 17', /tile 1: lies over another/],
      ['"xPos": 32', '"xPos": 40', /lies outside/],
      ['"tiles": [', '"tiles": [[],', /tiles\[0\]: an object is expected/],
      ['"xyChart": {', '"text": {"content": "x"}, "xyChart": {', /only one of/],
    ] as const) {
      const planted = text.replace(from, to)
      t.not(planted, text, from)
      t.match(dashboardFaults(JSON.parse(planted)).join('\n'), fault, from)
    }
  },
)

t.test(
  'every alert has a text that says what to do, and none is without an alert',
  async (t) => {
    const alerts: { id: string; title: string }[] = JSON.parse(
      readFileSync('terraform/alerts.json', 'utf8'),
    )
    const texts = globSync('terraform/runbook/*.md')
    t.equal(texts.length, alerts.length)
    const runbook = readFileSync('docs/tasks/runbook.md', 'utf8')
    for (const { id, title } of alerts) {
      const text = readFileSync(`terraform/runbook/${id}.md`, 'utf8')
      t.ok(text.startsWith(`# ${title}\n`), id)
      // Cloud Monitoring cuts off longer texts.
      t.ok(Buffer.byteLength(text) < 10_240, id)
      t.match(runbook, `[${title}](../../terraform/runbook/${id}.md)`, 'the runbook has it')
    }
  },
)
