import type { Grant, Inspected, Resource } from '#shared/bus/inspect.ts'
import type { BusChecked } from './bus-checks.ts'
import type { Check, Finding } from './check.ts'

/** Pub/Sub's own service account, which forwards dead letters. Without its grants it does not, and reports no error. */
const AGENT = /^serviceAccount:service-\d+@gcp-sa-pubsub\.iam\.gserviceaccount\.com$/

const ROLES: Readonly<Record<Resource, readonly string[]>> = {
  topic: ['roles/pubsub.publisher', 'roles/pubsub.editor', 'roles/pubsub.admin'],
  subscription: ['roles/pubsub.subscriber', 'roles/pubsub.editor', 'roles/pubsub.admin'],
}

/** Checks both grants that dead-lettering needs: on the dead-letter topic, and on each subscription with a policy. */
export function grantChecks({ inspector, topology }: BusChecked): readonly Check[] {
  const { deadLetterTopic, subscriptions } = topology
  const lettered = subscriptions.filter((spec) => spec.maxDeliveryAttempts !== undefined)
  const resources = [
    ['topic', deadLetterTopic] as const,
    ...lettered.map(({ name }) => ['subscription', name] as const),
  ]
  return resources.map(([of, name]) => {
    const check = `dead-letter grant on ${of} ${name}`
    return {
      name: check,
      remedy: 'see that Pub/Sub can be reached from here with this identity',
      run: async () => [grantFinding(check, of, name, await inspector.grants(of, name))],
    }
  })
}

function grantFinding(
  check: string,
  of: Resource,
  name: string,
  { found, refused }: Inspected<readonly Grant[]>,
): Finding {
  const [role = ''] = ROLES[of]
  if (found === undefined) return unknownState(check, of, refused ?? 'unknown')
  const members = found.flatMap((grant) =>
    ROLES[of].includes(grant.role) ? grant.members.filter((each) => AGENT.test(each)) : [],
  )
  const [agent] = members
  if (agent !== undefined) return { check, state: 'ok', found: agent.replace(/^.*:/, '') }
  return {
    check,
    state: 'fault',
    found: `Pub/Sub's own service agent has no ${role} here: nothing would be dead-lettered`,
    remedy: `gcloud pubsub ${of}s add-iam-policy-binding ${name} --role=${role} --member=serviceAccount:service-PROJECT_NUMBER@gcp-sa-pubsub.iam.gserviceaccount.com (one on the whole project is not seen from here)`,
  }
}

function unknownState(
  check: string,
  of: Resource,
  refused: NonNullable<Inspected<unknown>['refused']>,
): Finding {
  if (refused === 'missing') {
    return { check, state: 'unknown', found: `there is no such ${of}` }
  }
  if (refused === 'unknown') {
    return { check, state: 'unknown', found: 'this server has no IAM: it needs no grants' }
  }
  return {
    check,
    state: 'unknown',
    found: `pubsub.${of}s.getIamPolicy is missing`,
    remedy: 'look with roles/iam.securityReviewer',
  }
}
