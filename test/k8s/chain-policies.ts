import { existsSync } from 'node:fs'
import type {
  V1CronJob,
  V1Deployment,
  V1LabelSelector,
  V1NetworkPolicy,
  V1Role,
  V2HorizontalPodAutoscaler,
} from '@kubernetes/client-node'
import { DEFAULT_ROUTE, topology } from '#shared/contracts/topology.ts'
import { readConfig } from '#shared/frame/config.ts'
import { containersOf, type KubeObject, nameOf, ofKind, podsOf } from './overlays.ts'
import type { Policy } from './pod-policies.ts'

/** Stand-ins for secrets in the settings that are read here: the repository has none. */
const SECRETS: Readonly<Record<string, string>> = {
  TRACKCHAIN_DATABASE: 'postgresql://nobody@127.0.0.1/none',
  TRACKCHAIN_TOKENS: JSON.stringify(['0'.repeat(64)]),
}

/** Rules that follow from the services and from their references. */
export const CHAIN_POLICIES = {
  'every setting is one that shared/frame/config.ts knows, and reads': (objects) =>
    services(objects).flatMap((deployment) => {
      const env = environmentOf(deployment, objects)
      try {
        const { route, routes } = readConfig(env)
        const hasDoor = env.TRACKCHAIN_HOST === '0.0.0.0' && env.TRACKCHAIN_PORT === '8080'
        const isServed =
          env.TRACKCHAIN_HEALTH_HOST === '0.0.0.0' && env.TRACKCHAIN_HEALTH_PORT === '8080'
        return [
          ...(route in routes
            ? []
            : [`${nameOf(deployment)}: route ${route} is not in routes`]),
          ...(hasDoor && isServed
            ? []
            : [`${nameOf(deployment)}: its probes are not answered`]),
        ]
      } catch (error) {
        return [`${nameOf(deployment)}: ${String(error)}`]
      }
    }),
  'no secret is in the repository': (objects) => [
    ...ofKind(objects, 'Secret').map(nameOf),
    ...objects
      .filter((object) => /postgres(ql)?:\/\/|PRIVATE KEY|"private_key"/.test(json(object)))
      .map((object) => `${nameOf(object)} has one in it`),
  ],
  'what is started is there': (objects) =>
    objects.flatMap((object) =>
      podsOf(object)
        .flatMap(containersOf)
        .filter(({ name }) => name === 'service' || name === 'ask')
        .map(({ args }) => args?.[0] ?? '')
        .filter((path) => !/\.ts$/.test(path) || !existsSync(path))
        .map((path) => `${nameOf(object)}: ${path}`),
    ),
  'whatever is referred to exists': (objects) => {
    const has = (kind: string, name?: string, namespace?: string) =>
      objects.some(
        (o) =>
          o.kind === kind &&
          o.metadata.name === name &&
          (namespace === undefined || o.metadata.namespace === namespace),
      )
    return objects.flatMap((object) =>
      podsOf(object).flatMap((pod) => {
        const { namespace } = object.metadata
        const volumes = pod.volumes ?? []
        return [
          ...(has('ServiceAccount', pod.serviceAccountName ?? 'none', namespace) ||
          pod.automountServiceAccountToken === false
            ? []
            : [`account ${pod.serviceAccountName}`]),
          ...(has('PriorityClass', pod.priorityClassName) ? [] : [`${pod.priorityClassName}`]),
          ...volumes.flatMap(({ configMap, persistentVolumeClaim: claim }) => [
            ...(configMap && !has('ConfigMap', configMap.name, namespace)
              ? [`ConfigMap ${configMap.name}`]
              : []),
            ...(claim && !has('PersistentVolumeClaim', claim.claimName, namespace)
              ? [`claim ${claim.claimName}`]
              : []),
          ]),
          ...containersOf(pod).flatMap(({ envFrom = [], volumeMounts = [] }) => [
            ...envFrom
              .filter(({ configMapRef }) => !has('ConfigMap', configMapRef?.name, namespace))
              .map(({ configMapRef }) => `ConfigMap ${configMapRef?.name}`),
            ...volumeMounts
              .filter((mount) => !volumes.some(({ name }) => name === mount.name))
              .map(({ name }) => `volume ${name}`),
          ]),
        ].map((what) => `${nameOf(object)}: there is no ${what}`)
      }),
    )
  },
  'selectors are about the pods of their own Deployment': (objects) =>
    ofKind<V1Deployment>(objects, 'Deployment').flatMap((deployment) => {
      const labels = deployment.spec?.template.metadata?.labels ?? {}
      const wanted = Object.entries(deployment.spec?.selector.matchLabels ?? {})
      const matches = wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value)
      return matches ? [] : [nameOf(deployment)]
    }),
  'traffic is denied unless a policy allows it': (objects) => {
    const policies = ofKind<V1NetworkPolicy>(objects, 'NetworkPolicy')
    const denied = policies.some(
      ({ spec }) =>
        json(spec?.podSelector) === '{}' &&
        String(spec?.policyTypes) === 'Ingress,Egress' &&
        spec?.ingress === undefined &&
        spec?.egress === undefined,
    )
    // The manifest has `from`; the library's type has another name for it.
    const open = policies
      .filter(({ spec }) => spec?.ingress !== undefined)
      .filter(({ spec }) => {
        const rules = spec?.ingress as Rules
        const isDoor = spec?.podSelector?.matchLabels?.['app.kubernetes.io/name'] === 'ingest'
        return (
          !(isDoor || isForCollectors(rules)) ||
          rules.some(
            ({ from = [] }) =>
              from.length === 0 || from.some(({ ipBlock }) => ipBlock?.cidr === '0.0.0.0/0'),
          )
        )
      })
    return [
      ...(denied ? [] : ['nothing denies by default']),
      ...open.map((policy) => `${nameOf(policy)} lets others in`),
    ]
  },
  'collectors may read /metrics of every service': (objects) => {
    const metrics = ofKind<V1NetworkPolicy>(objects, 'NetworkPolicy').find(({ spec }) =>
      isForCollectors((spec?.ingress ?? []) as Rules),
    )
    const scrapers = objects.filter(({ kind }) => kind === 'PodMonitoring')
    return services(objects).flatMap((deployment) => {
      const labels = deployment.spec?.template.metadata?.labels ?? {}
      const { spec } = metrics ?? {}
      const isReached = spec !== undefined && selects(spec.podSelector ?? {}, labels)
      const missed = scrapers.filter(
        (scraper) =>
          !selects((scraper as unknown as Scraper).spec.selector, labels) ||
          (scraper as unknown as Scraper).spec.endpoints[0]?.port !== 'http',
      )
      return [
        ...(isReached ? [] : [`${nameOf(deployment)}: nobody may read its metrics`]),
        ...missed.map((each) => `${nameOf(each)} misses ${nameOf(deployment)}`),
      ]
    })
  },
  'a pod of the dispatcher may reach what a step may': (objects) =>
    ofKind<V1NetworkPolicy>(objects, 'NetworkPolicy')
      .filter(({ spec }) => spec?.egress !== undefined)
      .filter(({ spec }) => {
        const of = (component: string) => ({ 'app.kubernetes.io/component': component })
        const selector = spec?.podSelector ?? {}
        return selects(selector, of('step')) && !selects(selector, of('track'))
      })
      .map(nameOf),
  'every autoscaled service is judged by backlog and age of what it consumes': (objects) => {
    const scalers = ofKind<V2HorizontalPodAutoscaler>(objects, 'HorizontalPodAutoscaler')
    if (scalers.length === 0) return []
    const consumed = topology([DEFAULT_ROUTE])
      .subscriptions.filter((each) => each.maxDeliveryAttempts !== undefined)
      .map(({ name }) => name)
    const metrics = scalers.flatMap(({ metadata, spec }) =>
      (spec?.metrics ?? []).flatMap(({ external }) =>
        external === undefined
          ? []
          : subscriptionsOf(external.metric.selector).map(
              (name) => `${metadata.name} ${external.metric.name.split('|')[2]} ${name}`,
            ),
      ),
    )
    const wanted = consumed.flatMap((name) => {
      // What is in the lane backfill waits by intent.
      const age = name.endsWith('.backfill') ? [] : ['oldest_unacked_message_age']
      return ['num_undelivered_messages', ...age].map(
        (what) => `${name === 'events' ? 'publish' : name.split('.')[0]} ${what} ${name}`,
      )
    })
    return [
      ...wanted.filter((each) => !metrics.includes(each)).map((each) => `missing: ${each}`),
      ...metrics.filter((each) => !wanted.includes(each)).map((each) => `unknown: ${each}`),
      ...scalers.flatMap(({ metadata, spec }) => {
        const deployment = ofKind<V1Deployment>(objects, 'Deployment').find(
          (each) => each.metadata.name === spec?.scaleTargetRef.name,
        )
        return [
          ...((spec?.minReplicas ?? 0) >= 1 ? [] : [`${metadata.name} may scale to nothing`]),
          ...((spec?.behavior?.scaleDown?.stabilizationWindowSeconds ?? 0) >= 300
            ? []
            : [`${metadata.name} scales down at once`]),
          ...(deployment === undefined ? [`${metadata.name} scales nothing`] : []),
          // Each `apply` would else undo the autoscaler's work. It leaves a Deployment with 0 replicas alone.
          ...((deployment?.spec?.replicas ?? 0) === 0
            ? []
            : [`${metadata.name} is scaled by its Deployment as well`]),
        ]
      }),
    ]
  },
  'what is raised ahead of time is restored, within what the role allows': (objects) => {
    const jobs = ofKind<V1CronJob>(objects, 'CronJob')
    const at = (name: string) => {
      const [, , body = '', ...paths] =
        podsOf(jobs.find(({ metadata }) => metadata.name === name) as KubeObject)[0]
          ?.containers[0]?.args ?? []
      const { spec } = JSON.parse(body.replace('--body=', ''))
      return { least: spec.minReplicas, names: paths.map((path) => path.split('/').at(-1)) }
    }
    const faults = jobs
      .filter(({ spec }) => spec?.timeZone !== 'Etc/UTC')
      .map((job) => `${nameOf(job)} is not in UTC`)
    if (!jobs.some(({ metadata }) => metadata.name === 'prescale-raise')) return faults
    const [raise, restore] = [at('prescale-raise'), at('prescale-restore')]
    const role = ofKind<V1Role>(objects, 'Role').find(
      ({ metadata }) => metadata.name === 'prescale',
    )
    const scalers = ofKind<V2HorizontalPodAutoscaler>(objects, 'HorizontalPodAutoscaler')
    return [
      ...faults,
      ...(String(raise.names) === String(restore.names) &&
      json(role?.rules) ===
        json([
          {
            apiGroups: ['autoscaling'],
            resourceNames: raise.names,
            resources: ['horizontalpodautoscalers'],
            verbs: ['patch'],
          },
        ])
        ? []
        : ['the role, what is raised and what is restored differ']),
      ...raise.names.flatMap((name) => {
        const spec = scalers.find(({ metadata }) => metadata.name === name)?.spec
        if (spec === undefined) return [`${name} has no autoscaler`]
        return [
          ...(raise.least > (spec.minReplicas ?? 0) && raise.least <= spec.maxReplicas
            ? []
            : [`${name} is raised to ${raise.least}`]),
          ...(restore.least === spec.minReplicas ? [] : [`${name} goes to ${restore.least}`]),
        ]
      }),
    ]
  },
} satisfies Record<string, Policy>

/** The subscriptions that a metric is summed over. */
function subscriptionsOf(selector: V1LabelSelector | undefined): readonly string[] {
  const label = 'resource.labels.subscription_id'
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {}
  const one = matchLabels[label]
  const some = matchExpressions.find(({ key, operator }) => key === label && operator === 'In')
  return one === undefined ? (some?.values ?? []) : [one]
}

/** The Deployments that run a service of ours. */
function services(objects: readonly KubeObject[]): (KubeObject & V1Deployment)[] {
  return ofKind<V1Deployment>(objects, 'Deployment').filter((deployment) =>
    podsOf(deployment).some(({ containers }) => containers[0]?.name === 'service'),
  )
}

/** The environment of the service. */
export function environmentOf(
  deployment: KubeObject,
  objects: readonly KubeObject[],
): Record<string, string> {
  const container = podsOf(deployment)[0]?.containers[0]
  const maps = ofKind<{ data?: Record<string, string> }>(objects, 'ConfigMap')
  const from = (container?.envFrom ?? []).map(
    ({ configMapRef }) =>
      maps.find(({ metadata }) => metadata.name === configMapRef?.name)?.data,
  )
  const own = (container?.env ?? []).map(({ name, value, valueFrom }) => [
    name,
    valueFrom === undefined ? value : SECRETS[name],
  ])
  return Object.assign({}, ...from, Object.fromEntries(own))
}

function json(value: unknown): string {
  return JSON.stringify(value) ?? ''
}

type Rules = readonly {
  readonly from?: readonly {
    readonly ipBlock?: { readonly cidr: string }
    readonly namespaceSelector?: V1LabelSelector
  }[]
  readonly ports?: readonly { readonly port: string }[]
}[]

interface Scraper {
  readonly spec: {
    readonly selector: V1LabelSelector
    readonly endpoints: readonly { readonly port: string }[]
  }
}

/** Whether only named namespaces may reach the port of /metrics. */
function isForCollectors(rules: Rules): boolean {
  return (
    rules.length > 0 &&
    rules.every(
      ({ from = [], ports = [] }) =>
        from.length > 0 &&
        from.every(({ namespaceSelector }) =>
          json(namespaceSelector).includes('metadata.name'),
        ) &&
        ports.length === 1 &&
        ports[0]?.port === 'http',
    )
  )
}

/** Whether a selector (by labels, and by `In`) matches a pod with these labels. */
function selects(
  { matchLabels = {}, matchExpressions = [] }: V1LabelSelector,
  labels: Readonly<Record<string, string>>,
): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(
      ({ key, operator, values = [] }) =>
        operator === 'In' && values.includes(labels[key] ?? ''),
    )
  )
}
