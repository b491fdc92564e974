import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Declared } from './declared.ts'

/**
 * Rules on the configuration as it is written, independent of the values of expressions; the rest is in
 * terraform/tests.
 */
const RULES: readonly {
  readonly says: string
  /** Addresses that the rule applies to. */
  readonly about: RegExp
  readonly holds: (declared: Declared) => boolean
}[] = [
  {
    says: 'may not be public, by its objects or its members',
    about: /^google_storage_bucket\./,
    holds: ({ arguments: given }) =>
      given.public_access_prevention === 'enforced' &&
      given.uniform_bucket_level_access === true,
  },
  {
    says: 'must name no public member, and neither editor nor owner',
    about: /./,
    holds: ({ arguments: given }) =>
      !/allUsers|allAuthenticatedUsers|roles\/(editor|owner)/.test(JSON.stringify(given)),
  },
  {
    says: 'may grant nothing on all topics or buckets of the project',
    about: /^google_project_iam_/,
    holds: ({ arguments: { role } }) =>
      !/roles\/(storage|pubsub)\./.test(String(role)) || role === 'roles/pubsub.viewer',
  },
  {
    says: 'would take away what others have been granted: use _iam_member',
    about: /_iam_(binding|policy)\./,
    holds: () => false,
  },
  {
    says: 'must have no filter, never expire, and have dead letters',
    about: /^google_pubsub_subscription\./,
    holds: ({ arguments: given }) =>
      !('filter' in given) &&
      (given.expiration_policy as [{ ttl?: string }] | undefined)?.[0]?.ttl === '' &&
      ('dead_letter_policy' in given ||
        'dead_letter_policy' in ((given.dynamic as object | undefined) ?? {})),
  },
  {
    says: 'must delete after a day, and keep nothing of what is deleted',
    about: /^google_storage_bucket\.scratch$/,
    holds: ({ arguments: given }) =>
      JSON.stringify(given.soft_delete_policy) === '[{"retention_duration_seconds":0}]' &&
      JSON.stringify(given.lifecycle_rule) ===
        '[{"action":[{"type":"Delete"}],"condition":[{"age":1}]}]',
  },
  {
    says: 'must have private nodes',
    about: /^google_container_cluster\./,
    holds: ({ arguments: given }) =>
      JSON.stringify(given.private_cluster_config).includes('"enable_private_nodes":true'),
  },
  {
    says: 'must have no public address',
    about: /^google_sql_database_instance\./,
    holds: ({ arguments: given }) =>
      JSON.stringify(given.settings).includes('"ipv4_enabled":false'),
  },
]

/** The two grants without which Pub/Sub never dead-letters anything. */
const AGENT_GRANTS = {
  'google_pubsub_topic_iam_member.dead_letter': 'roles/pubsub.publisher',
  'google_pubsub_subscription_iam_member.dead_letter': 'roles/pubsub.subscriber',
}

export function policyFaults(folder: string, all: readonly Declared[]): readonly string[] {
  const faults = RULES.flatMap(({ says, about, holds }) =>
    all
      .filter((declared) => about.test(declared.address) && !holds(declared))
      .map(({ address }) => `${address}: ${says}`),
  )
  for (const [address, role] of Object.entries(AGENT_GRANTS)) {
    const given = all.find((declared) => declared.address === address)?.arguments
    if (given?.role !== role || !String(given.member).includes('local.pubsub_agent'))
      faults.push(`${address}: Pub/Sub itself needs ${role}`)
  }
  const { deadLetterTopic, topics, subscriptions } = JSON.parse(
    readFileSync(join(folder, 'topology.json'), 'utf8'),
  )
  const isTopic = topics.some(({ name }: { name: string }) => name === deadLetterTopic)
  const isKept = subscriptions.some(({ topic }: { topic: string }) => topic === deadLetterTopic)
  if (!isTopic || !isKept)
    faults.push('topology.json: the dead-letter topic needs a subscription, or loses messages')
  return faults
}
