import { globSync } from 'node:fs'

const NAMING = ['terraform/**/*.{json,md,tf}', 'k8s/**/*.{yaml,md}', 'docs/**/*.md']

/** The files that name metrics. */
export function filesThatName(): string[] {
  return NAMING.flatMap((pattern) => globSync(pattern))
}

/** Google's own, as its documentation lists them, that dashboards, alerts and autoscalers ask for. */
export const GOOGLE = [
  'pubsub_googleapis_com:subscription_ack_message_count',
  'pubsub_googleapis_com:subscription_num_undelivered_messages',
  'pubsub_googleapis_com:subscription_oldest_unacked_message_age',
  'storage_googleapis_com:storage_v2_total_bytes',
  'kubernetes_io:container_cpu_core_usage_time',
  'kubernetes_io:container_cpu_request_cores',
  'kubernetes_io:node_pool_interruption_count',
]

/** The names in a scrape; a histogram is named as a whole, too. */
export function namesIn(scrape: string): ReadonlySet<string> {
  const lines = scrape.split('\n')
  return new Set(lines.map((line) => /^(?:# TYPE )?([a-z_]+)/.exec(line)?.[1] ?? ''))
}

/** The names of metrics in a text that nobody measures. `|` stands for `/` in those of the autoscalers. */
export function unknownNames(text: string, own: ReadonlySet<string>): string[] {
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
