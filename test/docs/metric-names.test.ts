import { readFileSync } from 'node:fs'
import t from 'tap'
import { createMetrics, type Metrics } from '#shared/frame/telemetry/metrics.ts'
import { filesThatName, GOOGLE, namesIn, unknownNames } from '../support/metric-names.ts'

/** The names in a scrape once everything has been counted, by the instruments of every service. */
async function scrapedNames(metrics: Metrics): Promise<ReadonlySet<string>> {
  for (const instrument of Object.values(metrics)) {
    if ('add' in instrument) instrument.add(0)
    if ('record' in instrument) instrument.record(0)
  }
  return namesIn(await metrics.expose())
}

t.test('every metric that is named anywhere is in a scrape', async (t) => {
  const own = await scrapedNames(createMetrics('names'))
  const files = filesThatName()
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
    t.not(unknownNames(dashboard.replace(from, to), own).length, 0, `${to} is reported`)
  const scaling = readFileSync('k8s/overlays/gke/scaling.yaml', 'utf8')
  const planted = scaling.replace('num_undelivered_messages', 'num_undelivered')
  t.same(unknownNames(planted, own), ['pubsub_googleapis_com:subscription_num_undelivered'])
})

t.test('every metric is in the document of what each number means', async (t) => {
  const document = readFileSync('docs/reference/numbers.md', 'utf8')
  for (const name of await scrapedNames(createMetrics('names'))) {
    const whole = name.replace(/_(bucket|count|sum)$/, '')
    if (whole !== '') t.match(document, `\`${whole}\``, whole)
  }
})
