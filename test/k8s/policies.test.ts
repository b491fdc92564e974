import t from 'tap'
import { CHAIN_POLICIES } from './chain-policies.ts'
import { CANNOT_BUILD, type KubeObject, OVERLAYS, objectsOf } from './overlays.ts'
import { POD_POLICIES, type Policy } from './pod-policies.ts'
import { GKE_POLICIES, ONPREM_POLICIES } from './site-policies.ts'

const EVERYWHERE = { ...POD_POLICIES, ...CHAIN_POLICIES }
const POLICIES = {
  gke: { ...EVERYWHERE, ...GKE_POLICIES },
  onprem: { ...EVERYWHERE, ...ONPREM_POLICIES },
} as const

/** Breaches of each policy: a text in the JSON of an overlay's objects, and its replacement. */
type Plants<Policies> = Readonly<Record<keyof Policies, readonly (readonly [string, string])[]>>

const BREACHES: Plants<typeof EVERYWHERE> = {
  'no pod runs as root or may become it': [
    ['"runAsUser":10001', '"runAsUser":0'],
    ['"runAsNonRoot":true,', ''],
    ['"type":"RuntimeDefault"', '"type":"Unconfined"'],
    ['"readOnlyRootFilesystem":true', '"readOnlyRootFilesystem":false'],
    ['"drop":["ALL"]', '"drop":["NET_RAW"]'],
    ['"allowPrivilegeEscalation":false', '"privileged":true'],
    ['"enableServiceLinks":false', '"hostNetwork":true'],
  ],
  'every image has a version': [
    ['trackchain:0.2.0', 'trackchain:latest'],
    ['trackchain:0.2.0', 'trackchain'],
  ],
  'requests are limits': [
    ['"limits":{"cpu":"1"', '"limits":{"cpu":"2"'],
    ['"memory":"1536Mi"', '"memory":"1Gi"'],
  ],
  'steps have whole cores, as Node counts them': [
    ['"limits":{"cpu":"1"', '"limits":{"cpu":"1500m"'],
  ],
  'nothing of a node is mounted, and of other machines NFS alone': [],
  'every pod is given 15 s, all of them for SIGTERM': [
    ['"terminationGracePeriodSeconds":15', '"terminationGracePeriodSeconds":30'],
    ['"name":"service",', '"name":"service","lifecycle":{"preStop":{"sleep":{"seconds":5}}},'],
  ],
  'every Deployment may be disrupted, but not wholly': [
    ['"kind":"PodDisruptionBudget"', '"kind":"PodDisruption"'],
    ['"maxUnavailable":"25%"', '"minAvailable":1'],
  ],
  'every container that stays is asked whether it started, is ready and lives': [
    ['"readinessProbe"', '"readiness"'],
    ['"path":"/readyz"', '"path":"/healthz"'],
  ],
  'only pods that call the API server have its token': [
    ['"automountServiceAccountToken":false,"containers"', '"containers"'],
  ],
  'no variables that follow from the names of Services': [['"enableServiceLinks":false,', '']],
  'every setting is one that shared/frame/config.ts knows, and reads': [
    ['"TRACKCHAIN_SCRATCH":', '"TRACKCHAIN_SCRATCHES":'],
    ['"TRACKCHAIN_ROUTE":"', '"TRACKCHAIN_ROUTE":"not-'],
    ['"TRACKCHAIN_HEALTH_HOST":"0.0.0.0"', '"TRACKCHAIN_HEALTH_HOST":"127.0.0.1"'],
    ['"TRACKCHAIN_ASSETS":"gs:', '"TRACKCHAIN_ASSETS":"s3:'],
  ],
  'no secret is in the repository': [
    ['"TRACKCHAIN_PROJECT":"', '"TRACKCHAIN_DATABASE":"postgresql://a:b@c/'],
    ['"kind":"ConfigMap"', '"kind":"Secret"'],
  ],
  'what is started is there': [
    ['services/encode/main.ts', 'services/encode/mian.ts'],
    ['"k8s/ask.ts"', '"ask.ts"'],
  ],
  'whatever is referred to exists': [
    ['"configMapRef":{"name":"settings', '"configMapRef":{"name":"setting'],
    ['"priorityClassName":"trackchain-step"', '"priorityClassName":"step"'],
    ['"serviceAccountName":"collect"', '"serviceAccountName":"collector"'],
  ],
  'selectors are about the pods of their own Deployment': [
    [
      '"selector":{"matchLabels":{"app.kubernetes.io/name":"encode"}},"template"',
      '"selector":{"matchLabels":{"app.kubernetes.io/name":"encoder"}},"template"',
    ],
  ],
  'traffic is denied unless a policy allows it': [
    [
      '"podSelector":{},"policyTypes":["Ingress","Egress"]',
      '"podSelector":{},"policyTypes":["Ingress"]',
    ],
    ['"policyTypes":["Egress"]', '"policyTypes":["Egress"],"ingress":[{}]'],
  ],
  'collectors may read /metrics of every service': [],
  'a pod of the dispatcher may reach what a step may': [['"step","track"]', '"step"]']],
  'every autoscaled service is judged by backlog and age of what it consumes': [],
  'what is raised ahead of time is restored, within what the role allows': [
    ['"timeZone":"Etc/UTC"', '"timeZone":"Europe/Berlin"'],
  ],
}

const PLANTS: {
  readonly gke: Plants<(typeof POLICIES)['gke']>
  readonly onprem: Plants<(typeof POLICIES)['onprem']>
} = {
  gke: {
    ...BREACHES,
    'collectors may read /metrics of every service': [
      ['"values":["door","step"]', '"values":["door"]'],
    ],
    'nothing of a node is mounted, and of other machines NFS alone': [
      ['"emptyDir":{', '"hostPath":{'],
    ],
    'every autoscaled service is judged by backlog and age of what it consumes': [
      [
        '"resource.labels.subscription_id":"events"',
        '"resource.labels.subscription_id":"event"',
      ],
      ['|oldest_unacked_message_age', '|oldest_age'],
      ['"minReplicas":1', '"minReplicas":0'],
      ['"stabilizationWindowSeconds":600', '"stabilizationWindowSeconds":0'],
      ['"spec":{"minReadySeconds"', '"spec":{"replicas":1,"minReadySeconds"'],
    ],
    'what is raised ahead of time is restored, within what the role allows': [
      ['{\\"minReplicas\\":20}', '{\\"minReplicas\\":400}'],
      ['{\\"minReplicas\\":1}', '{\\"minReplicas\\":2}'],
      ['"resourceNames":["stage",', '"resourceNames":['],
      ['"timeZone":"Etc/UTC"', '"timeZone":"Europe/Berlin"'],
    ],
    'HTTP is answered by nodes that stay, all else runs on Spot first': [
      ['"trackchain.dev/pool":"on-demand"', '"trackchain.dev/pool":"spot"'],
      ['"key":"trackchain.dev/spot"', '"key":"trackchain.dev/spots"'],
      ['"values":["spot"]', '"values":["on-demand"]'],
    ],
    'each client of the door has limits of its own': [
      [
        '"name":"TRACKCHAIN_RATE_LIMIT_PER_MINUTE","value":"6000"',
        '"name":"TRACKCHAIN_RATE_LIMIT_PER_MINUTE","value":"0"',
      ],
      ['"TRACKCHAIN_PROXY_HOPS":"2"', '"TRACKCHAIN_PROXY_HOPS":"1"'],
      ['\\"35.191.0.0/16\\"]', '\\"0.0.0.0/0\\"]'],
    ],
    'only ingest is reached from outside, and only with TLS': [
      [
        '"kubernetes.io/ingress.allow-http":"false"',
        '"kubernetes.io/ingress.allow-http":"true"',
      ],
      ['"ingress.gcp.kubernetes.io/pre-shared-cert"', '"cert"'],
      ['"service":{"name":"ingest","port"', '"service":{"name":"publish","port"'],
      [
        '"spec":{"ports":[{"name":"http"',
        '"spec":{"type":"LoadBalancer","ports":[{"name":"http"',
      ],
    ],
    'each service has the account of its name': [['trackchain-encode@', 'trackchain-stage@']],
  },
  onprem: {
    ...BREACHES,
    'collectors may read /metrics of every service': [
      ['"kubernetes.io/metadata.name":"monitoring"', '"team":"monitoring"'],
    ],
    'nothing of a node is mounted, and of other machines NFS alone': [
      ['"persistentVolumeClaim":{', '"hostPath":{'],
      ['"nfs":{', '"hostPath":{'],
    ],
    'nothing here needs GKE': [
      [
        '"apiVersion":"apps/v1","kind":"Deployment"',
        '"apiVersion":"cloud.google.com/v1","kind":"BackendConfig"',
      ],
      [
        '"enableServiceLinks"',
        '"nodeSelector":{"trackchain.dev/pool":"spot"},"enableServiceLinks"',
      ],
    ],
    'a cluster that joins has no door and no database': [
      ['"TRACKCHAIN_PORT"', '"TRACKCHAIN_DATABASE"'],
    ],
    'NFS clients do not remember what is not there': [
      ['"lookupcache=positive"', '"lookupcache=all"'],
    ],
  },
}

if (CANNOT_BUILD !== undefined) t.plan(0, CANNOT_BUILD)
else {
  for (const overlay of OVERLAYS) {
    const objects = objectsOf(overlay)
    const policies: Readonly<Record<string, Policy>> = POLICIES[overlay]
    const plants: Plants<Record<string, Policy>> = PLANTS[overlay]
    for (const [title, policy] of Object.entries(policies)) {
      t.test(`${overlay}: ${title}`, async (t) => {
        t.same(policy(objects), [])
        for (const [from, to] of plants[title] ?? []) {
          t.not(policy(planted(objects, from, to)).length, 0, `with ${to}`)
        }
      })
    }
  }
}

/** The objects with the first occurrence of `from` replaced. @throws when there is none. */
function planted(objects: readonly KubeObject[], from: string, to: string): KubeObject[] {
  const text = JSON.stringify(objects)
  if (!text.includes(from)) throw new Error(`there is no ${from} to plant a breach in`)
  return JSON.parse(text.replace(from, () => to))
}
