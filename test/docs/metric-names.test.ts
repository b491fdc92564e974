import { globSync, readFileSync } from 'node:fs'
import t from 'tap'
import { createMetrics, type Metrics } from '#shared/metrics.ts'

const NAMING = ['terraform/**/*.{json,md,tf}', 'k8s/**/*.{yaml,md}', 'docs/*.md']

/** Google's own, as its documentation lists them, that dashboards, alerts and autoscalers ask for. */
const GOOGLE = [
  'pubsub_googleapis_com:subscription_num_undelivered_messages',
  'pubsub_googleapis_com:subscription_oldest_unacked_message_age',
  'storage_googleapis_com:storage_v2_total_bytes',
  'kubernetes_io:container_cpu_core_usage_time',
  'kubernetes_io:container_cpu_request_cores',
  'kubernetes_io:node_pool_interruption_count',
]

/** What a scrape has once everything has been counted: the very instruments of every service. */
async function scrapedNames(metrics: Metrics): Promise<ReadonlySet<string>> {
  for (const instrument of Object.values(metrics)) {
    if ('add' in instrument) instrument.add(0)
    if ('record' in instrument) instrument.record(0)
  }
  const lines = (await metrics.expose()).split('\n')
  // A histogram as a whole is named by its type alone.
  return new Set(lines.map((line) => /^(?:# TYPE )?([a-z_]+)/.exec(line)?.[1] ?? ''))
}

/** The names of metrics in a text that nobody measures. `|` stands for `/` in those of the autoscalers. */
function unknownNames(text: string, own: ReadonlySet<string>): string[] {
  const ours = text.match(/\b(?:trackchain|http_server)_[a-z_]+\b/g) ?? []
  const theirs = text.match(/\b[a-z]+(?:_googleapis_com|_io):\w+/g) ?? []
  const scaling = [...text.matchAll(/\b([a-z]+)\.googleapis\.com\|(\w+)\|(\w+)/g)].map(
    ([, service, kind, name]) => `${service}_googleapis_com:${kind}_${name}`,
  )
  return [
    ...ours.filter((name) => !own.has(name)),
    ...[...theirs, ...scaling].filter((name) => !GOOGLE.includes(name)),
  ]
}

t.test('every metric that is named anywhere is one that a scrape has', async (t) => {
  const own = await scrapedNames(createMetrics('names'))
  const files = NAMING.flatMap((pattern) => globSync(pattern))
  let named = ''
  for (const file of files) {
    const text = readFileSync(file, 'utf8')
    named += text
    t.same(unknownNames(text, own), [], file)
  }
  for (const name of [
    'trackchain_completions_total',
    'http_server_request_duration_seconds_bucket',
  ])
    t.match(named, name, 'names are found')
  for (const name of GOOGLE.slice(2)) t.match(named, name, 'all of Google are in use')

  const dashboard = readFileSync('terraform/dashboards/chain.json', 'utf8')
  for (const [from, to] of [
    ['trackchain_completions_total', 'trackchain_completion_total'],
    ['trackchain_recorded_total', 'trackchain_recorded'],
    ['oldest_unacked_message_age', 'oldest_unacked_age'],
  ] as const)
    t.not(unknownNames(dashboard.replace(from, to), own).length, 0, `${to} is told of`)
  const scaling = readFileSync('k8s/overlays/gke/scaling.yaml', 'utf8')
  const planted = scaling.replace('num_undelivered_messages', 'num_undelivered')
  t.same(unknownNames(planted, own), ['pubsub_googleapis_com:subscription_num_undelivered'])
})

t.test('every metric is in the document of what each number means', async (t) => {
  const document = readFileSync('docs/numbers.md', 'utf8')
  for (const name of await scrapedNames(createMetrics('names'))) {
    const whole = name.replace(/_(bucket|count|sum)$/, '')
    if (whole !== '') t.match(document, `\`${whole}\``, whole)
  }
})
