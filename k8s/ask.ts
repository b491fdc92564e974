// Sends one request to the API server of the cluster that this pod runs in, for each of some paths. The CronJobs use it.
//   node k8s/ask.ts METHOD [--body=JSON] [--account=FOLDER] PATH…
// The certificate of the API server comes from NODE_EXTRA_CA_CERTS.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'
const PATIENCE_MS = 30_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { body: { type: 'string' }, account: { type: 'string', default: ACCOUNT } },
})
const [method, ...paths] = positionals
const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env
if (method === undefined || paths.length === 0 || !host || !port) {
  console.error(
    'usage, in a pod: node k8s/ask.ts METHOD [--body=JSON] [--account=FOLDER] PATH…',
  )
  process.exit(2)
}
const token = await readFile(join(values.account, 'token'), 'utf8')
const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`

for (const path of paths) {
  const response = await fetch(new URL(path, server), {
    method,
    headers: {
      authorization: `Bearer ${token.trim()}`,
      ...(values.body !== undefined && { 'content-type': 'application/merge-patch+json' }),
    },
    ...(values.body !== undefined && { body: values.body }),
    signal: AbortSignal.timeout(PATIENCE_MS),
  })
  const answer = await response.text()
  console.log(`${method} ${path}: ${response.status}`)
  if (response.ok) continue
  console.error(answer)
  process.exitCode = 1
}
