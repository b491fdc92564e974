import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { V1Container, V1PodSpec } from '@kubernetes/client-node'
import { loadAll } from 'js-yaml'

/** A Kubernetes object as it is applied. */
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

/** Why overlays cannot be built on this machine; undefined where they can. */
export const CANNOT_BUILD =
  spawnSync('kubectl', ['version', '--client']).status === 0
    ? undefined
    : 'kubectl is not installed: NO MANIFEST IS CHECKED (https://kubernetes.io/docs/tasks/tools/)'

/** An overlay as `kubectl apply -k` would send it. */
export function builtOverlay(overlay: string, root = 'k8s'): string {
  const path = join(root, 'overlays', overlay)
  const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', path], {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  })
  if (status !== 0) throw new Error(`kubectl kustomize ${path}: ${stderr}`)
  return stdout
}

/** An overlay with the dispatcher instead of stage: one line of it is uncommented. */
export function builtWithDispatch(overlay: string): string {
  const root = mkdtempSync(join(tmpdir(), 'trackchain-k8s-'))
  try {
    cpSync('k8s', root, { recursive: true })
    const file = join(root, 'overlays', overlay, 'kustomization.yaml')
    const [before, after, ...others] = readFileSync(file, 'utf8').split('\n  # - dispatch\n')
    if (after === undefined || others.length > 0) throw new Error(`${file} has no switch`)
    writeFileSync(file, `${before}\n  - dispatch\n${after}`)
    return builtOverlay(overlay, root)
  } finally {
    rmSync(root, { recursive: true })
  }
}

/** The objects of an overlay. */
export function objectsOf(overlay: string, built = builtOverlay): readonly KubeObject[] {
  return loadAll(built(overlay)) as KubeObject[]
}

/** `kind/name`, for messages. */
export function nameOf({ kind, metadata }: KubeObject): string {
  return `${kind}/${metadata.name}`
}

/** The objects of one kind, with the client library's type of it. */
export function ofKind<T>(objects: readonly KubeObject[], kind: string): (KubeObject & T)[] {
  return objects.filter((object) => object.kind === kind) as (KubeObject & T)[]
}

/** The pod specs of an object: a Pod's own, or those of its templates. */
export function podsOf(object: KubeObject): readonly V1PodSpec[] {
  if (object.kind === 'Pod') return [(object as unknown as { spec: V1PodSpec }).spec]
  const { spec } = object as unknown as {
    spec?: {
      template?: { spec: V1PodSpec }
      jobTemplate?: { spec: { template: { spec: V1PodSpec } } }
    }
  }
  const pod = spec?.template?.spec ?? spec?.jobTemplate?.spec.template.spec
  return pod === undefined ? [] : [pod]
}

/** All containers of a pod, init containers included. */
export function containersOf(pod: V1PodSpec): readonly V1Container[] {
  return [...(pod.initContainers ?? []), ...pod.containers]
}
