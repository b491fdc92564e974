import type { V1Container, V1Deployment, V1PodDisruptionBudget } from '@kubernetes/client-node'
import { EXIT_MS } from '#shared/frame/lifecycle.ts'
import { containersOf, type KubeObject, nameOf, ofKind, podsOf } from './overlays.ts'

/** A policy returns a sentence for each fault of an overlay's objects. */
export type Policy = (objects: readonly KubeObject[]) => string[]

/** Pods that only reserve room: they stop at once, and have no probes. */
const HEADROOM = 'headroom'
/** Workloads that call the API server, and so need a token for it. */
const ASKS = ['collect', 'prescale', 'dispatch', 'custom-metrics-stackdriver-adapter']

/** Rules for every pod. */
export const POD_POLICIES = {
  'no pod runs as root or may become it': eachPod((pod) => {
    const { runAsNonRoot, runAsUser = 0, seccompProfile } = pod.securityContext ?? {}
    return [
      ...(runAsNonRoot && runAsUser > 0 ? [] : ['may run as root']),
      ...(seccompProfile?.type === 'RuntimeDefault' ? [] : ['has no seccomp profile']),
      ...(pod.hostNetwork || pod.hostPID || pod.hostIPC ? ["uses the node's own"] : []),
      ...containersOf(pod).flatMap(({ name, securityContext: own }) =>
        own?.allowPrivilegeEscalation === false &&
        own.privileged !== true &&
        own.runAsUser === undefined &&
        own.readOnlyRootFilesystem === true &&
        own.capabilities?.drop?.includes('ALL') &&
        own.capabilities.add === undefined
          ? []
          : [`${name} may more than it needs`],
      ),
    ]
  }),
  'every image has a version': eachContainer(({ image }) =>
    /(@sha256:[0-9a-f]{64}|:[\w][\w.-]*)$/.test(image ?? '') && !/:latest$/.test(image ?? '')
      ? []
      : [`${image} is whatever is newest`],
  ),
  'requests are limits': eachContainer(({ resources: { requests, limits } = {} }) =>
    ['cpu', 'memory', 'ephemeral-storage'].flatMap((what) =>
      limits?.[what] !== undefined && requests?.[what] === limits[what]
        ? []
        : [`${what}: ${requests?.[what]} is requested, ${limits?.[what]} the limit`],
    ),
  ),
  'steps have whole cores, as Node counts them': eachPod((pod, object) =>
    object.metadata.labels?.['app.kubernetes.io/component'] === 'step'
      ? pod.containers
          .map(({ resources }) => String(resources?.limits?.cpu))
          .filter((cpu) => !/^[1-9]\d*$/.test(cpu))
          .map((cpu) => `${cpu} cores`)
      : [],
  ),
  'nothing of a node is mounted, and of other machines NFS alone': (objects) => [
    ...eachPod((pod) =>
      (pod.volumes ?? [])
        .filter(
          ({ configMap, projected, emptyDir, persistentVolumeClaim }) =>
            !(configMap ?? projected ?? emptyDir ?? persistentVolumeClaim),
        )
        .map(({ name }) => `volume ${name}`),
    )(objects),
    ...ofKind<{ spec: { nfs?: object } }>(objects, 'PersistentVolume')
      .filter(({ spec }) => spec.nfs === undefined)
      .map(nameOf),
  ],
  'every pod is given 15 s, all of them for SIGTERM': eachPod((pod, { metadata }) => {
    const seconds = pod.terminationGracePeriodSeconds
    const isGiven = seconds === 15 && EXIT_MS < 15_000
    return [
      ...(isGiven || (metadata.name === HEADROOM && seconds === 0) ? [] : [`${seconds} s`]),
      ...containersOf(pod)
        .filter(({ lifecycle }) => lifecycle !== undefined)
        .map(({ name }) => `${name} has hooks`),
    ]
  }),
  'every Deployment may be disrupted, but not wholly': (objects) =>
    deployments(objects).flatMap((deployment) => {
      const labels = deployment.spec?.template.metadata?.labels ?? {}
      const budgets = ofKind<V1PodDisruptionBudget>(objects, 'PodDisruptionBudget').filter(
        ({ metadata, spec }) =>
          metadata.namespace === deployment.metadata.namespace &&
          Object.entries(spec?.selector?.matchLabels ?? { none: '' }).every(
            ([key, value]) => labels[key] === value,
          ),
      )
      const isGood = budgets.length === 1 && budgets[0]?.spec?.maxUnavailable !== undefined
      return isGood ? [] : [`${nameOf(deployment)} has ${budgets.length} budgets`]
    }),
  'every container that stays is asked whether it started, is ready and lives': (objects) =>
    deployments(objects).flatMap((deployment) =>
      podsOf(deployment)
        .flatMap(containersOf)
        .flatMap(({ name, startupProbe, readinessProbe, livenessProbe }) => {
          const paths = [startupProbe, readinessProbe, livenessProbe].map(
            (probe) => probe?.httpGet?.path,
          )
          const wanted =
            name === 'service'
              ? ['/healthz', '/readyz', '/healthz']
              : name === 'cloud-sql-proxy'
                ? ['/startup', undefined, '/liveness']
                : ['/livez', '/readyz', '/livez']
          return String(paths) === String(wanted)
            ? []
            : [`${nameOf(deployment)} ${name}: ${paths}`]
        }),
    ),
  'only pods that call the API server have its token': (objects) =>
    eachPod((pod) => {
      const asks = ASKS.includes(pod.serviceAccountName ?? '')
      return pod.automountServiceAccountToken === asks
        ? []
        : [`automountServiceAccountToken is ${pod.automountServiceAccountToken}`]
    })(objects),
  'no variables that follow from the names of Services': eachPod((pod) =>
    pod.enableServiceLinks === false ? [] : ['enableServiceLinks is not false'],
  ),
} satisfies Record<string, Policy>

function deployments(objects: readonly KubeObject[]): (KubeObject & V1Deployment)[] {
  const all = ofKind<V1Deployment>(objects, 'Deployment')
  return all.filter(({ metadata }) => metadata.name !== HEADROOM)
}

function eachPod(
  faultsOf: (pod: ReturnType<typeof podsOf>[number], object: KubeObject) => readonly string[],
): Policy {
  return (objects) =>
    objects.flatMap((object) =>
      podsOf(object).flatMap((pod) =>
        faultsOf(pod, object).map((fault) => `${nameOf(object)}: ${fault}`),
      ),
    )
}

function eachContainer(faultsOf: (container: V1Container) => readonly string[]): Policy {
  return eachPod((pod) =>
    containersOf(pod).flatMap((container) =>
      faultsOf(container).map((fault) => `${container.name}: ${fault}`),
    ),
  )
}
