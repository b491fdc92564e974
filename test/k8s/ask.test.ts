import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'

/** An API server that answers each path with the status in its last segment, on a certificate of its own. */
async function apiServer(folder: string) {
  const key = join(folder, 'key.pem')
  const certificate = join(folder, 'ca.crt')
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=test'],
    ...['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate],
  ])
  if (made.status !== 0) throw new Error(String(made.stderr))
  const asked: unknown[] = []
  const server = createServer(
    { key: readFileSync(key), cert: readFileSync(certificate) },
    async (request, response) => {
      const { method, url = '', headers } = request
      const { authorization, 'content-type': type } = headers
      asked.push({ method, url, authorization, type, body: await text(request) })
      response.writeHead(Number(url.split('/').at(-1))).end('{"kind":"Status"}')
    },
  )
  await once(server.listen(0, '127.0.0.1'), 'listening')
  writeFileSync(join(folder, 'token'), 'a-token\n')
  const { port } = server.address() as AddressInfo
  return { asked, port, server, certificate }
}

async function ask(args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, ['k8s/ask.ts', ...args], { env })
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  return { stdout, stderr, code }
}

t.test('sends a request for each path as the pod, and fails when one is refused', async (t) => {
  const folder = t.testdir({})
  const { asked, port, server, certificate } = await apiServer(folder)
  t.teardown(() => server.close())
  const env = {
    KUBERNETES_SERVICE_HOST: '127.0.0.1',
    KUBERNETES_SERVICE_PORT: String(port),
    NODE_EXTRA_CA_CERTS: certificate,
  }
  const account = `--account=${folder}`
  const body = '{"spec":{"minReplicas":20}}'

  const good = await ask(['PATCH', account, `--body=${body}`, '/a/200', '/b/201'], env)
  t.same(good, { code: 0, stderr: '', stdout: 'PATCH /a/200: 200\nPATCH /b/201: 201\n' })
  const patch = { method: 'PATCH', authorization: 'Bearer a-token', body }
  t.same(asked.splice(0), [
    { ...patch, url: '/a/200', type: 'application/merge-patch+json' },
    { ...patch, url: '/b/201', type: 'application/merge-patch+json' },
  ])

  const refused = await ask(['DELETE', account, '/c/403', '/d/200'], env)
  t.equal(refused.code, 1)
  t.equal(refused.stdout, 'DELETE /c/403: 403\nDELETE /d/200: 200\n')
  t.match(refused.stderr, '{"kind":"Status"}')
  t.equal(asked.length, 2, 'one that is refused does not keep the others')

  const { NODE_EXTRA_CA_CERTS: _, ...unknown } = env
  t.equal((await ask(['DELETE', account, '/e/200'], unknown)).code, 1)
  t.equal(asked.length, 2, 'a server without a trusted certificate does not get the token')
})

t.test('prints its usage', async (t) => {
  const { code, stderr } = await ask(['PATCH'], {})
  t.equal(code, 2)
  t.match(stderr, /^usage, in a pod: /)
})
