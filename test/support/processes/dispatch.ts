import { type ChildProcess, fork } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { configEnv } from '#shared/frame/config.ts'
import type { Surroundings } from '../chain.ts'
import type { KubeApi } from '../fakes/kube-api.ts'

const at = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

interface Dispatcher {
  readonly child: ChildProcess
  /** All that it has logged. */
  readonly said: () => string
  /** Resolves when it is gone. */
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>
}

/** The dispatcher as a process of its own, on the cluster that a kubeconfig names. Resolves when it is ready. */
export async function startDispatcher(
  around: Surroundings,
  api: KubeApi,
  settings: Parameters<typeof configEnv>[0] = {},
): Promise<Dispatcher> {
  const kubeconfig = `${around.folder}/kubeconfig.json`
  await writeFile(kubeconfig, api.kubeconfig)
  const compiled = process.env.NODE_COMPILE_CACHE ?? join(around.folder, 'compiled')
  // As if this machine were the dispatcher's pod.
  api.others.set(hostname(), {
    metadata: { name: hostname() },
    spec: { containers: [{ name: 'service', image: 'trackchain:test' }] },
  })
  const pod_template = {
    spec: {
      containers: [
        {
          name: 'track',
          command: [process.execPath, at('services/dispatch/pod/main.ts')],
          env: [{ name: 'NODE_COMPILE_CACHE', value: compiled }],
        },
      ],
    },
  }
  const child = fork(at('services/dispatch/main.ts'), {
    env: {
      ...process.env,
      ...around.env,
      ...configEnv({ pod_template, ...settings }),
      KUBECONFIG: kubeconfig,
      METADATA_SERVER_DETECTION: 'none',
      NODE_COMPILE_CACHE: compiled,
    },
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (piece) => {
      said += piece
    })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    child.once('message', () => resolve())
    child.once('exit', () => reject(new Error(`the dispatcher did not start:\n${said}`)))
  })
  return {
    child,
    said: () => said,
    async kill(signal) {
      child.kill(signal)
      await gone
    },
  }
}
