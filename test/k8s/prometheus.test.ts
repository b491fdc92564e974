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
