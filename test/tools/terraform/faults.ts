import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A fault that can be planted in a copy of terraform/. */
export interface Fault {
  readonly name: string
  readonly file: string
  readonly from: string
  readonly to: string
  /** The file of terraform/tests that reports it, and its sentence. Absent: `terraform validate` reports it. */
  readonly reported?: { readonly by: 'chain' | 'cluster' | 'rights'; readonly as: string }
  /** Whether it ends terraform's run before the first assertion, so that it would hide other faults. */
  readonly ends?: true
  /**
   * The sentence of the static check. Absent: it can't find the fault, because the value of an expression is needed.
   */
  readonly seen?: string
}

const DEAD_LETTER_GRANT = `resource "google_pubsub_topic_iam_member" "dead_letter" {
  topic  = google_pubsub_topic.this[local.topology.deadLetterTopic].name
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}
`
const DEAD_LETTER_SUBSCRIPTION = `,
    {
      "topic": "dead-letter",
      "ackDeadlineSeconds": 30,
      "minBackoffSeconds": 10,
      "maxBackoffSeconds": 600,
      "retentionSeconds": 2678400,
      "perRoute": false,
      "perLane": false
    }`

export const FAULTS: readonly Fault[] = [
  {
    name: 'a misspelt argument',
    file: 'pubsub.tf',
    from: 'message_retention_duration',
    to: 'message_retention_durations',
    seen: 'google_pubsub_subscription.this.message_retention_durations: unknown',
  },
  {
    name: 'a misspelt argument of a nested block',
    file: 'gke.tf',
    from: 'autoscaling_profile =',
    to: 'autoscaling_profil =',
    seen: 'google_container_cluster.this.cluster_autoscaling.autoscaling_profil: unknown',
  },
  {
    name: 'no right of Pub/Sub to publish dead letters',
    file: 'pubsub.tf',
    from: DEAD_LETTER_GRANT,
    to: '',
    reported: { by: 'chain', as: 'has not been declared in the root module' },
    seen: 'google_pubsub_topic_iam_member.dead_letter: Pub/Sub itself needs roles/pubsub.publisher',
  },
  {
    name: 'one subscription on which Pub/Sub may not acknowledge',
    file: 'pubsub.tf',
    from: 'if can(spec.maxDeliveryAttempts) }',
    to: 'if can(spec.maxDeliveryAttempts) && name != "encode-onprem-a" }',
    reported: {
      by: 'chain',
      as: 'Pub/Sub itself may not acknowledge on a subscription with dead letters',
    },
  },
  {
    name: 'no subscription of the dead letters',
    file: 'topology.json',
    from: DEAD_LETTER_SUBSCRIPTION,
    to: '',
    reported: {
      by: 'chain',
      as: 'each.value.subscription is "dead-letter"',
    },
    ends: true,
    seen: 'topology.json: the dead-letter topic needs a subscription, or loses messages',
  },
  {
    name: 'a subscription with a filter',
    file: 'pubsub.tf',
    from: '  retain_acked_messages        = false\n',
    to: '  filter = "attributes.route = \\"cloud\\""\n',
    reported: {
      by: 'chain',
      as: 'A subscription has a filter, ordering or exactly-once delivery',
    },
    seen: 'google_pubsub_subscription.this: must have no filter, never expire, and have dead letters',
  },
  {
    name: 'a subscription that expires',
    file: 'pubsub.tf',
    from: 'ttl = ""',
    to: 'ttl = "2678400s"',
    reported: { by: 'chain', as: 'A subscription expires when it is not pulled for a month.' },
    seen: 'google_pubsub_subscription.this: must have no filter, never expire, and have dead letters',
  },
  {
    name: 'another lease than the code has',
    file: 'pubsub.tf',
    from: '= each.value.ackDeadlineSeconds',
    to: '= 2 * each.value.ackDeadlineSeconds',
    reported: {
      by: 'chain',
      as: "A subscription's topic, lease, retention, back-off or number of attempts",
    },
  },
  {
    name: 'soft delete of scratch',
    file: 'buckets.tf',
    from: 'retention_duration_seconds = 0',
    to: 'retention_duration_seconds = 604800',
    reported: {
      by: 'cluster',
      as: 'Soft delete would keep and bill every intermediate object for a week.',
    },
    seen: 'google_storage_bucket.scratch: must delete after a day, and keep nothing of what is deleted',
  },
  {
    name: 'a blank of a dashboard that is never filled in',
    file: 'monitoring.tf',
    from: '"@cluster@", google',
    to: '"@clusters@", google',
    reported: { by: 'cluster', as: 'A dashboard is missing, or has a blank' },
  },
  {
    name: 'an alert without words',
    file: 'monitoring.tf',
    from: 'content   = file(',
    to: 'content   = basename(',
    reported: { by: 'cluster', as: 'An alert does not say what to do' },
  },
  {
    name: 'a misspelt argument of an alert',
    file: 'monitoring.tf',
    from: 'combiner ',
    to: 'combines ',
    seen: 'google_monitoring_alert_policy.this.combines: unknown',
  },
  {
    name: 'a bucket that may be made public',
    file: 'buckets.tf',
    from: 'public_access_prevention    = "enforced"',
    to: 'public_access_prevention    = "inherited"',
    reported: { by: 'cluster', as: 'A bucket could be made public' },
    seen: 'google_storage_bucket.assets: may not be public, by its objects or its members',
  },
  {
    name: 'a bucket that everybody may read',
    file: 'grants.tf',
    from: 'member     = each.value.member\n  depends_on',
    to: 'member     = "allUsers"\n  depends_on',
    reported: { by: 'rights', as: 'A right on a bucket is not what its name says.' },
    seen: 'google_storage_bucket_iam_member.service: must name no public member',
  },
  {
    name: 'encode may remove assets',
    file: 'grants.tf',
    from: '["roles/storage.objectViewer", "roles/storage.objectCreator"]',
    to: '["roles/storage.objectUser"]',
    reported: { by: 'rights', as: 'Objects may be removed in scratch only.' },
  },
  {
    name: 'a role on all topics of the project',
    file: 'accounts.tf',
    from: '"roles/container.defaultNodeServiceAccount"',
    to: '"roles/pubsub.admin"',
    reported: {
      by: 'rights',
      as: 'The nodes hold another role on the project than that of nodes.',
    },
    seen: 'google_project_iam_member.nodes: may grant nothing on all topics or buckets of the project',
  },
  {
    name: 'an editor',
    file: 'accounts.tf',
    from: '"roles/monitoring.viewer"',
    to: '"roles/editor"',
    reported: { by: 'rights', as: "The autoscalers' adapter may not read metrics." },
    seen: 'google_project_iam_member.metrics_adapter: must name no public member, and neither editor nor owner',
  },
  {
    name: 'ingest may sign as another service',
    file: 'accounts.tf',
    from: 'service_account_id = google_service_account.service["ingest"].name\n  role               = "roles/iam.serviceAccountTokenCreator"',
    to: 'service_account_id = google_service_account.service["stage"].name\n  role               = "roles/iam.serviceAccountTokenCreator"',
    reported: { by: 'rights', as: 'ingest signs addresses as itself, and as nobody else.' },
  },
  {
    name: 'scripts of every site reach the assets',
    file: 'buckets.tf',
    from: 'for_each = local.cors_rules',
    to: 'for_each = ["always"]',
    reported: { by: 'cluster', as: 'Scripts of other sites reach a bucket.' },
  },
  {
    name: 'a Spot pool without its taint',
    file: 'node-pools.tf',
    from: 'taints      = [{ key = "trackchain.dev/spot", value = "true", effect = "NO_SCHEDULE" }]',
    to: 'taints      = []',
    reported: {
      by: 'cluster',
      as: 'Without its taint anything may end up on nodes that vanish.',
    },
  },
  {
    name: 'nodes with public addresses',
    file: 'gke.tf',
    from: 'enable_private_nodes    = true',
    to: 'enable_private_nodes    = false',
    reported: { by: 'cluster', as: 'Nodes have public addresses' },
    seen: 'google_container_cluster.this: must have private nodes',
  },
]

/** Makes a copy of terraform/ in `folder` with the faults in it. @throws when one does not fit the source. */
export function plant(folder: string, faults: readonly Fault[]): void {
  cpSync('terraform', folder, { recursive: true })
  for (const { name, file, from, to } of faults) {
    const path = join(folder, file)
    const text = readFileSync(path, 'utf8')
    if (!text.includes(from)) throw new Error(`${name}: there is no ${from} in ${file}`)
    writeFileSync(
      path,
      text.replace(from, () => to),
    )
  }
}
