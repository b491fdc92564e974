import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as client from '@kubernetes/client-node'
import { Type } from 'typebox'
import { compile } from '#shared/contracts/validator.ts'
import type { KubeObject } from './overlays.ts'

/** Every kind that we use, and its API version. */
const API_VERSIONS: Readonly<Record<string, string>> = {
  APIService: 'apiregistration.k8s.io/v1',
  ClusterRole: 'rbac.authorization.k8s.io/v1',
  ClusterRoleBinding: 'rbac.authorization.k8s.io/v1',
  ConfigMap: 'v1',
  CronJob: 'batch/v1',
  Deployment: 'apps/v1',
  HorizontalPodAutoscaler: 'autoscaling/v2',
  Ingress: 'networking.k8s.io/v1',
  Namespace: 'v1',
  NetworkPolicy: 'networking.k8s.io/v1',
  PersistentVolume: 'v1',
  PersistentVolumeClaim: 'v1',
  Pod: 'v1',
  PodDisruptionBudget: 'policy/v1',
  PriorityClass: 'scheduling.k8s.io/v1',
  ResourceQuota: 'v1',
  Role: 'rbac.authorization.k8s.io/v1',
  RoleBinding: 'rbac.authorization.k8s.io/v1',
  Service: 'v1',
  ServiceAccount: 'v1',
}

const closed = { additionalProperties: false }
const Seconds = Type.Integer({ minimum: 1 })

/** Kinds that only GKE has: the parts of its definitions that we use. */
const GKE_KINDS = {
  'monitoring.googleapis.com/v1 PodMonitoring': Type.Object(
    {
      selector: Type.Object(
        {
          matchExpressions: Type.Array(
            Type.Object(
              {
                key: Type.String(),
                operator: Type.Enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
                values: Type.Array(Type.String()),
              },
              closed,
            ),
          ),
        },
        closed,
      ),
      endpoints: Type.Array(
        Type.Object(
          {
            port: Type.Union([Type.String(), Type.Integer()]),
            path: Type.String({ pattern: '^/' }),
            interval: Type.String({ pattern: '^[0-9]+[smh]$' }),
          },
          closed,
        ),
        { minItems: 1 },
      ),
    },
    closed,
  ),
  'cloud.google.com/v1 BackendConfig': Type.Object(
    {
      timeoutSec: Seconds,
      connectionDraining: Type.Object({ drainingTimeoutSec: Seconds }, closed),
      healthCheck: Type.Object(
        {
          type: Type.Union([
            Type.Literal('HTTP'),
            Type.Literal('HTTPS'),
            Type.Literal('HTTP2'),
          ]),
          requestPath: Type.String({ pattern: '^/' }),
          port: Type.Integer({ minimum: 1, maximum: 65_535 }),
          checkIntervalSec: Seconds,
          timeoutSec: Seconds,
          healthyThreshold: Seconds,
          unhealthyThreshold: Seconds,
        },
        closed,
      ),
    },
    closed,
  ),
}

interface Attribute {
  readonly name: string
  readonly baseName: string
  readonly type: string
  readonly format: string
}
const models = client as unknown as Readonly<
  Record<string, { readonly attributeTypeMap?: readonly Attribute[] } | undefined>
>

/** Whether only GKE has this kind. */
export function isGkeKind({ apiVersion, kind }: KubeObject): boolean {
  return `${apiVersion} ${kind}` in GKE_KINDS
}

/**
 * The faults that a strict API server would find in an object, each with its path: unknown fields, missing fields, and
 * values of another type. The client library's own model of each kind is the reference.
 */
export function fieldFaults(object: KubeObject): string[] {
  const { apiVersion, kind } = object
  const own = GKE_KINDS[`${apiVersion} ${kind}` as keyof typeof GKE_KINDS]
  if (own !== undefined) {
    const { spec, ...rest } = object as KubeObject & { spec: unknown }
    return [...valueFaults({ ...rest }, 'V1ServiceAccount', kind), ...specFaults(spec, own)]
  }
  if (!API_VERSIONS[kind] || API_VERSIONS[kind] !== apiVersion)
    return [`${kind}: no such kind in ${apiVersion}`]
  const version = apiVersion.split('/').at(-1) as string
  return valueFaults(object, `${version[0]?.toUpperCase()}${version.slice(1)}${kind}`, kind)
}

function specFaults(spec: unknown, schema: (typeof GKE_KINDS)[keyof typeof GKE_KINDS]) {
  try {
    compile(schema, 'spec', (words) => new Error(words))(spec)
    return []
  } catch (error) {
    return [String(error)]
  }
}

function valueFaults(value: unknown, type: string, at: string): string[] {
  const list = /^Array<(.*)>$/.exec(type)?.[1]
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type)?.[1]
  if (list !== undefined) {
    if (!Array.isArray(value)) return [`${at}: a list is expected`]
    return value.flatMap((item, index) => valueFaults(item, list, `${at}[${index}]`))
  }
  if (map !== undefined) {
    if (!isRecord(value)) return [`${at}: a map is expected`]
    return Object.entries(value).flatMap(([key, item]) =>
      valueFaults(item, map, `${at}[${key}]`),
    )
  }
  if (type === 'any') return []
  if (type === 'IntOrString') {
    return isWhole(value) || typeof value === 'string'
      ? []
      : [`${at}: a whole number or a string is expected`]
  }
  if (type === 'Date') return typeof value === 'string' ? [] : [`${at}: a time is expected`]
  const attributes = models[type]?.attributeTypeMap
  if (attributes === undefined) {
    return typeof value === type ? [] : [`${at}: a ${type} is expected`]
  }
  if (!isRecord(value)) return [`${at}: an object is expected`]
  return modelFaults(value, { type, attributes }, at)
}

function modelFaults(
  value: Readonly<Record<string, unknown>>,
  model: { readonly type: string; readonly attributes: readonly Attribute[] },
  at: string,
): string[] {
  const known = new Map(model.attributes.map((each) => [each.baseName, each]))
  const missing = requiredFields(model.type)
    .map((name) => model.attributes.find((each) => each.name === name)?.baseName ?? name)
    .filter((name) => value[name] === undefined)
  return [
    ...missing.map((name) => `${at}.${name}: is missing`),
    ...Object.entries(value).flatMap(([name, item]) => {
      const attribute = known.get(name)
      if (attribute === undefined) return [`${at}.${name}: no such field`]
      if (/^int/.test(attribute.format) && attribute.type === 'number' && !isWhole(item)) {
        return [`${at}.${name}: a whole number is expected`]
      }
      return valueFaults(item, attribute.type, `${at}.${name}`)
    }),
  ]
}

const library = dirname(fileURLToPath(import.meta.resolve('@kubernetes/client-node')))
const required = new Map<string, readonly string[]>()

/** The required fields: those without a question mark in the model's declaration. The type map does not have them. */
function requiredFields(model: string): readonly string[] {
  let names = required.get(model)
  if (names === undefined) {
    const path = join(library, 'gen', 'models', `${model}.d.ts`)
    const declared = readFileSync(path, 'utf8').matchAll(/^ {4}'(\w+)': /gm)
    names = [...declared].map(([, name]) => name as string)
    required.set(model, names)
  }
  return names
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isWhole(value: unknown): boolean {
  return Number.isInteger(value)
}
