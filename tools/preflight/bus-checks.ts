import type { Inspected, PubsubInspector, SubscriptionFound } from '#shared/bus/inspect.ts'
import type { SubscriptionSpec, Topology } from '#shared/contracts/topology.ts'
import { type Check, type Complaint, type Finding, judged } from './check.ts'
import type { Needs } from './service-needs.ts'

export interface BusChecked {
  readonly inspector: PubsubInspector
  readonly project: string
  /** The topics and subscriptions that must exist. */
  readonly topology: Topology
  readonly needs: Pick<Needs, 'consumes' | 'publishes'>
}

const APPLY = 'apply terraform/ with this route among its routes'
const REACH = 'see that Pub/Sub can be reached from here with this identity'

/** Checks of each topic and subscription: that it exists with the right settings, and that this identity may use it. */
export function busChecks(bus: BusChecked): readonly Check[] {
  const { topics, subscriptions } = bus.topology
  return [
    ...topics.map((name) => ({
      name: `topic ${name}`,
      remedy: REACH,
      run: async () => [await topicFinding(name, bus)],
    })),
    ...subscriptions.map((spec) => ({
      name: `subscription ${spec.name}`,
      remedy: REACH,
      run: async () => [await subscriptionFinding(spec, bus)],
    })),
  ]
}

async function topicFinding(name: string, { inspector, needs }: BusChecked): Promise<Finding> {
  const permission = needs.publishes.includes(name) ? 'pubsub.topics.publish' : undefined
  const [found, may] = await Promise.all([
    inspector.topic(name),
    mayUse(permission, (each) => inspector.allowed('topic', name, [each])),
  ])
  const check = `topic ${name}`
  const use = permission === undefined ? '' : ', may be published to'
  if (found.refused === undefined) {
    return judged(check, may.complaints, may.isKnown ? `there${use}` : 'there')
  }
  if (found.refused === 'missing') return missing(check, 'no such topic')
  return unseen(check, 'pubsub.topics.get', may)
}

async function subscriptionFinding(spec: SubscriptionSpec, bus: BusChecked): Promise<Finding> {
  const { inspector, needs } = bus
  const permission = needs.consumes.includes(spec.name)
    ? 'pubsub.subscriptions.consume'
    : undefined
  const [looked, may] = await Promise.all([
    inspector.subscription(spec.name),
    mayUse(permission, (each) => inspector.allowed('subscription', spec.name, [each])),
  ])
  const check = `subscription ${spec.name}`
  if (looked.refused === 'missing') return missing(check, lost(spec, bus.topology))
  if (looked.refused !== undefined) return unseen(check, 'pubsub.subscriptions.get', may)
  const complaints = [...may.complaints, ...subscriptionComplaints(looked.found, spec, bus)]
  return judged(check, complaints, settings(looked.found))
}

function lost({ name }: SubscriptionSpec, { deadLetterTopic }: Topology): string {
  return name === deadLetterTopic
    ? 'no such subscription: what is dead-lettered is lost'
    : 'no such subscription: what is published to its topic is lost'
}

/** The wrong settings of a subscription. */
function subscriptionComplaints(
  found: SubscriptionFound,
  spec: SubscriptionSpec,
  { project, topology }: Pick<BusChecked, 'project' | 'topology'>,
): readonly Complaint[] {
  const complaints: Complaint[] = []
  const fault = (said: string, remedy: string) =>
    complaints.push({ state: 'fault', found: said, remedy })
  const warning = (said: string) =>
    complaints.push({ state: 'warning', found: said, remedy: APPLY })
  const full = (topic: string) => `projects/${project}/topics/${topic}`

  if (found.topic !== full(spec.topic)) fault(`it is of ${found.topic}`, ANEW)
  if (found.filter !== '') fault(`its filter ${found.filter} loses messages`, ANEW)
  if (found.isOrdered) fault('ordering is on: one bad message holds up the rest', ANEW)
  if (found.isExactlyOnce) warning('exactly-once delivery is on: late acks are failures')
  if (!found.isPulled) fault('it is pushed, exported or detached, and cannot be pulled', APPLY)
  if (found.retentionSeconds < spec.retentionSeconds)
    fault(`it keeps messages for ${days(found.retentionSeconds)} only`, APPLY)
  if (found.expiresAfterSeconds !== undefined)
    fault(`it is deleted after ${days(found.expiresAfterSeconds)} of disuse`, APPLY)
  if (found.backoff === undefined) fault('no back-off: what is given back comes at once', APPLY)
  else if (!isNear(found.backoff, spec)) {
    const { minSeconds, maxSeconds } = found.backoff
    warning(`its back-off is ${minSeconds} to ${maxSeconds} s`)
  }
  if (found.ackDeadlineSeconds < spec.ackDeadlineSeconds)
    warning(`its first lease is ${found.ackDeadlineSeconds} s`)
  const { deadLetter } = found
  if (spec.maxDeliveryAttempts === undefined) {
    if (deadLetter) warning(`it dead-letters after ${deadLetter.attempts} attempts`)
  } else if (deadLetter === undefined) {
    fault('no dead-letter policy: what crashes its consumer comes for ever', APPLY)
  } else if (deadLetter.topic !== full(topology.deadLetterTopic)) {
    fault(`it dead-letters to ${deadLetter.topic}`, APPLY)
  } else if (deadLetter.attempts !== spec.maxDeliveryAttempts) {
    warning(`it dead-letters after ${deadLetter.attempts} attempts`)
  }
  return complaints
}

/** The remedy for settings that can't be changed. */
const ANEW = 'delete it and apply terraform/ again: this can not be changed'

function isNear(
  found: NonNullable<SubscriptionFound['backoff']>,
  spec: SubscriptionSpec,
): boolean {
  return (
    found.minSeconds === spec.minBackoffSeconds && found.maxSeconds === spec.maxBackoffSeconds
  )
}

function settings({ retentionSeconds, deadLetter, backoff }: SubscriptionFound): string {
  const letters = deadLetter ? `, dead letter after ${deadLetter.attempts}` : ''
  const back = backoff ? `, back-off ${backoff.minSeconds} to ${backoff.maxSeconds} s` : ''
  return `keeps ${days(retentionSeconds)}${back}${letters}`
}

function days(seconds: number): string {
  return `${Number((seconds / 86_400).toFixed(2))} days`
}

function missing(check: string, found: string): Finding {
  return { check, state: 'fault', found, remedy: APPLY }
}

interface May {
  readonly isKnown: boolean
  readonly complaints: readonly Complaint[]
}

async function mayUse(
  permission: string | undefined,
  ask: (permission: string) => Promise<Inspected<readonly string[]>>,
): Promise<May> {
  if (permission === undefined) return { isKnown: false, complaints: [] }
  const { found } = await ask(permission)
  // A local server has no IAM: every identity may do everything.
  if (found === undefined) return { isKnown: false, complaints: [] }
  if (found.includes(permission)) return { isKnown: true, complaints: [] }
  const remedy = `grant ${permission} to the service's identity`
  const said = `this identity lacks ${permission}`
  return { isKnown: true, complaints: [{ state: 'fault', found: said, remedy }] }
}

/**
 * The finding when this identity may not read the settings. If it may use the resource, the resource at least exists.
 */
function unseen(check: string, permission: string, { isKnown, complaints }: May): Finding {
  const isThere = isKnown && complaints.length === 0
  const found = isThere
    ? `there, may be used; how it is set up needs ${permission}`
    : `${permission} is missing`
  const unknown = { state: 'unknown', found, remedy: 'look with roles/pubsub.viewer' } as const
  return judged(check, [...complaints, unknown], found)
}
