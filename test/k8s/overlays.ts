import { spawnSync } from 'node:child_process'
import type { V1Container, V1PodSpec } from '@kubernetes/client-node'
import { loadAll } from 'js-yaml'

/** An object as it is applied. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
}

export const OVERLAYS = ['gke', 'onprem'] as const

/** Why no overlay can be built here; undefined where it can. */
export const CANNOT_BUILD =
  spawnSync('kubectl', ['version', '--client']).status === 0
    ? undefined
    : 'kubectl is not installed: NO MANIFEST IS CHECKED (https://kubernetes.io/docs/tasks/tools/)'

/** An overlay as `kubectl apply -k` would send it. */
export function builtOverlay(overlay: string): string {
  const { status, stdout, stderr } = spawnSync(
    'kubectl',
    ['kustomize', `k8s/overlays/${overlay}`],
    { encoding: 'utf8', maxBuffer: 64 << 20 },
  )
  if (status !== 0) throw new Error(`kubectl kustomize k8s/overlays/${overlay}: ${stderr}`)
  return stdout
}

/** The objects of an overlay. */
export function objectsOf(overlay: string): readonly KubeObject[] {
  return loadAll(builtOverlay(overlay)) as KubeObject[]
}

/** `kind/name`, for messages. */
export function nameOf({ kind, metadata }: KubeObject): string {
  return `${kind}/${metadata.name}`
}

/** The objects of one kind, with the client library's type of it. */
export function ofKind<T>(objects: readonly KubeObject[], kind: string): (KubeObject & T)[] {
  return objects.filter((object) => object.kind === kind) as (KubeObject & T)[]
}

/** The pods that an object makes. */
export function podsOf(object: KubeObject): readonly V1PodSpec[] {
  const { spec } = object as unknown as {
    spec?: {
      template?: { spec: V1PodSpec }
      jobTemplate?: { spec: { template: { spec: V1PodSpec } } }
    }
  }
  const pod = spec?.template?.spec ?? spec?.jobTemplate?.spec.template.spec
  return pod === undefined ? [] : [pod]
}

/** All containers of a pod, those that start first included. */
export function containersOf(pod: V1PodSpec): readonly V1Container[] {
  return [...(pod.initContainers ?? []), ...pod.containers]
}
