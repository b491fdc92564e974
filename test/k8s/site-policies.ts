import type { V1Deployment, V1Ingress, V1PersistentVolume } from '@kubernetes/client-node'
import { environmentOf } from './chain-policies.ts'
import { nameOf, ofKind } from './overlays.ts'
import type { Policy } from './pod-policies.ts'
import { isGkeKind } from './strict-fields.ts'

/** CronJobs that call the cluster's API server, and no Google API. */
const UPKEEP = ['collect', 'prescale']

/** A network policy as it is written; the client library's type has another name for `from`. */
interface Ingresses {
  readonly spec?: {
    readonly ingress?: readonly {
      readonly from?: readonly { readonly ipBlock?: { readonly cidr: string } }[]
    }[]
  }
}

/** Rules of a GKE cluster. */
export const GKE_POLICIES = {
  'HTTP is answered by nodes that stay, all else runs on Spot first': (objects) =>
    ofKind<V1Deployment>(objects, 'Deployment')
      .filter(({ metadata }) => metadata.namespace === 'trackchain')
      .flatMap((deployment) => {
        const pod = deployment.spec?.template.spec
        const toleratesSpot = (pod?.tolerations ?? []).some(
          ({ key, operator, value, effect }) =>
            key === 'trackchain.dev/spot' &&
            (operator === 'Equal' ? value === 'true' : operator === 'Exists') &&
            effect === 'NoSchedule',
        )
        const { preferredDuringSchedulingIgnoredDuringExecution: preferred = [] } =
          pod?.affinity?.nodeAffinity ?? {}
        const prefersSpot = preferred.some(({ preference }) =>
          preference.matchExpressions?.some(
            ({ key, operator, values }) =>
              key === 'trackchain.dev/pool' && operator === 'In' && String(values) === 'spot',
          ),
        )
        const required = pod?.nodeSelector?.['trackchain.dev/pool']
        const isGood =
          deployment.metadata.name === 'ingest'
            ? required === 'on-demand' && !toleratesSpot
            : required === undefined && toleratesSpot && prefersSpot
        return isGood ? [] : [nameOf(deployment)]
      }),
  'each client of the door has limits of its own': (objects) => {
    const door = ofKind<V1Deployment>(objects, 'Deployment').find(
      ({ metadata }) => metadata.name === 'ingest',
    )
    if (door === undefined) return ['there is no door']
    const {
      TRACKCHAIN_RATE_LIMIT_PER_MINUTE,
      TRACKCHAIN_TRUSTED_PROXIES,
      TRACKCHAIN_PROXY_HOPS,
    } = environmentOf(door, objects)
    const balancers = ofKind<Ingresses>(objects, 'NetworkPolicy')
      .filter(({ metadata }) => metadata.name === 'door')
      .flatMap(({ spec }) => spec?.ingress ?? [])
      .flatMap(({ from = [] }) => from)
      .map(({ ipBlock }) => ipBlock?.cidr)
    const trusted = JSON.parse(TRACKCHAIN_TRUSTED_PROXIES ?? '[]') as string[]
    return [
      ...(Number(TRACKCHAIN_RATE_LIMIT_PER_MINUTE) > 0 ? [] : ['no limit']),
      ...(trusted.length > 0 && trusted.every((cidr) => balancers.includes(cidr))
        ? []
        : ['not the word of the load balancer, and of nobody else']),
      // A load balancer of Google's appends the client's address and then its own.
      ...(TRACKCHAIN_PROXY_HOPS === '2' ? [] : ['not the place of the client']),
    ]
  },
  'only ingest is reached from outside, and only with TLS': (objects) => {
    const doors = ofKind<V1Ingress>(objects, 'Ingress')
    const outside = ofKind<{ spec: { type?: string } }>(objects, 'Service').filter(
      ({ spec }) => (spec.type ?? 'ClusterIP') !== 'ClusterIP',
    )
    return [
      ...(doors.length === 1 ? [] : [`${doors.length} doors`]),
      ...outside.map(nameOf),
      ...doors
        .filter(({ metadata: { annotations }, spec }) => {
          const paths = (spec?.rules ?? []).flatMap(({ http }) => http?.paths ?? [])
          return (
            annotations?.['kubernetes.io/ingress.allow-http'] !== 'false' ||
            !annotations['ingress.gcp.kubernetes.io/pre-shared-cert'] ||
            spec?.defaultBackend !== undefined ||
            paths.some(({ backend }) => backend.service?.name !== 'ingest')
          )
        })
        .map((door) => `${nameOf(door)} is open to more`),
    ]
  },
  'each service has the account of its name': (objects) => {
    const accounts = objects.filter(
      ({ kind, metadata }) =>
        kind === 'ServiceAccount' &&
        metadata.namespace === 'trackchain' &&
        !UPKEEP.includes(metadata.name),
    )
    const names = ['ingest', 'stage', 'analyze', 'encode', 'publish']
    const all = new Set([...names, ...accounts.map(({ metadata }) => metadata.name)])
    return [...all].filter((name) => {
      const account = accounts.find(({ metadata }) => metadata.name === name)
      const google = account?.metadata.annotations?.['iam.gke.io/gcp-service-account']
      return !new RegExp(
        `^trackchain-${name}@[a-z][a-z0-9-]+\\.iam\\.gserviceaccount\\.com$`,
      ).test(google ?? '')
    })
  },
} satisfies Record<string, Policy>

/** Rules of an on-premises cluster. */
export const ONPREM_POLICIES = {
  'nothing here needs GKE': (objects) =>
    objects
      .filter(
        (object) =>
          isGkeKind(object) ||
          /gke\.io|cloud\.google\.com|gcp\.kubernetes\.io|gcr\.io|pkg\.dev|external\.metrics|trackchain\.dev\/(pool|spot)/.test(
            JSON.stringify(object),
          ),
      )
      .map(nameOf),
  'a cluster that joins has no door and no database': (objects) =>
    objects
      .filter(
        (object) =>
          object.kind === 'Ingress' ||
          object.kind === 'Service' ||
          JSON.stringify(object).includes('TRACKCHAIN_DATABASE'),
      )
      .map(nameOf),
  'NFS clients do not remember what is not there': (objects) =>
    ofKind<V1PersistentVolume>(objects, 'PersistentVolume')
      .filter(({ spec }) => {
        const options = spec?.mountOptions ?? []
        return !options.includes('lookupcache=positive') || !options.includes('hard')
      })
      .map(nameOf),
} satisfies Record<string, Policy>
