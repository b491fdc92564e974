import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { configEnv } from '#shared/frame/config.ts'
import type { Config } from '#shared/frame/settings.ts'

/** A service as a process of its own. */
export interface RunningService {
  readonly child: ChildProcess
  readonly ready: Promise<unknown>
  /** Its exit code, or the signal that it died of. */
  readonly exited: Promise<number | NodeJS.Signals>
  /** All that it has written so far. */
  said(): string
}

/** @param script below services/, e.g. `analyze/main.ts` */
export function startService(
  script: string,
  config: Partial<Config>,
  env: Readonly<Record<string, string>> = {},
): RunningService {
  const { PATH, NODE_COMPILE_CACHE } = process.env
  const own = { PATH, NODE_COMPILE_CACHE, METADATA_SERVER_DETECTION: 'none' }
  const child = fork(new URL(`../../../services/${script}`, import.meta.url), {
    env: { ...own, ...configEnv(config), ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    execArgv: [],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      said += chunk
    })
  }
  const exited = once(child, 'exit').then(([code, signal]) => code ?? signal)
  const ready = Promise.race([
    once(child, 'message'),
    exited.then((code) => Promise.reject(new Error(`ended with ${code}: ${said}`))),
  ])
  ready.catch(() => {})
  return { child, ready, exited, said: () => said }
}
