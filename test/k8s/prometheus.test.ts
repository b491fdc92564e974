import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const RULES = 'k8s/overlays/onprem/prometheus/rules.yaml'
const CASES = 'test/k8s/prometheus-rules.yaml'
const promtool = (...args: string[]) => spawnSync('promtool', args, { encoding: 'utf8' })
const skip =
  promtool('--version').status === 0
    ? false
    : 'promtool is not installed (Debian: prometheus): THE RULES FOR PROMETHEUS ARE NOT TRIED'
if (skip) t.comment(skip)

t.test('each alert is red when it should be, and only then', { skip }, async (t) => {
  const { status, stdout, stderr } = promtool('test', 'rules', CASES)
  t.equal(status, 0, stdout + stderr)
  const rules = readFileSync(RULES, 'utf8')
  const cases = readFileSync(CASES, 'utf8')
  for (const [, name = ''] of rules.matchAll(/alert: (\w+)/g)) {
    t.match(cases, `- alertname: ${name}\n`, `${name} is tried red`)
    t.match(
      cases,
      new RegExp(`alertname: ${name}(,.*exp_alerts: \\[\\])? \\}|alertname: ${name}, `),
    )
  }
})

t.test('a rule that is never red is reported', { skip }, async (t) => {
  const folder = t.testdir({
    'rules.yaml': readFileSync(RULES, 'utf8').replace('swept_total', 'sweeped_total'),
    'cases.yaml': readFileSync(CASES, 'utf8').replace(
      /rule_files: .*/,
      'rule_files: [rules.yaml]',
    ),
  })
  const { status, stdout, stderr } = promtool('test', 'rules', join(folder, 'cases.yaml'))
  t.equal(status, 1)
  t.match(stdout + stderr, 'TrackchainWatchdogActed')
})

t.test(
  'a backlog that takes two hours is no alert of Cloud Monitoring, and one that stands still is',
  { skip },
  async (t) => {
    const alerts: { id: string; query: string; minutes: number }[] = JSON.parse(
      readFileSync('terraform/alerts.json', 'utf8'),
    )
    const rules = alerts
      .filter(({ query }) => !query.includes('@'))
      .map(({ id, query, minutes }) => ({ alert: id, expr: query, for: `${minutes}m` }))
    const series = (name: string, of: string, values: string) => ({
      series: `pubsub_googleapis_com:subscription_${name}{monitored_resource="pubsub_subscription",subscription_id="${of}"}`,
      values,
    })
    const red = { exp_labels: { subscription_id: 'publish' } }
    const cases = {
      rule_files: ['rules.yaml'],
      evaluation_interval: '1m',
      tests: [
        {
          interval: '1m',
          input_series: [
            // 200,000 jobs in two hours; the oldest is as old as the backlog.
            series('oldest_unacked_message_age', 'stage.cloud', '0+60x120'),
            series('ack_message_count', 'stage.cloud', '0+1667x120'),
            series('oldest_unacked_message_age', 'publish', '0+60x120'),
            series('ack_message_count', 'publish', '5x120'),
            { series: 'trackchain_swept_total', values: '0x120' },
            { series: 'trackchain_completions_total', values: '0+8000x120' },
          ],
          alert_rule_test: rules.map(({ alert }) => ({
            eval_time: '119m',
            alertname: alert,
            exp_alerts: alert === 'oldest-message' ? [red] : [],
          })),
        },
      ],
    }
    // JSON is YAML.
    const folder = t.testdir({
      'rules.yaml': JSON.stringify({ groups: [{ name: 'alerts', rules }] }),
      'cases.yaml': JSON.stringify(cases),
    })
    const { status, stdout, stderr } = promtool('test', 'rules', join(folder, 'cases.yaml'))
    t.equal(status, 0, stdout + stderr)
    t.ok(rules.length >= 6)
  },
)
