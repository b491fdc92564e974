import { type ChildProcess, spawn } from 'node:child_process'

/** A pod, as far as the fake cluster looks into it. */
export interface KubePod {
  metadata: {
    readonly name: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly uid?: string
    readonly namespace?: string
    readonly creationTimestamp?: string
    readonly resourceVersion?: string
    readonly deletionTimestamp?: string
    readonly deletionGracePeriodSeconds?: number
  }
  readonly spec: {
    readonly containers: readonly {
      readonly name: string
      readonly image: string
      readonly command?: readonly string[]
      readonly args?: readonly string[]
      readonly env?: readonly { readonly name: string; readonly value: string }[]
      readonly resources?: {
        readonly requests?: Readonly<Record<string, string>>
        readonly limits?: Readonly<Record<string, string>>
      }
    }[]
    readonly activeDeadlineSeconds?: number
    readonly terminationGracePeriodSeconds?: number
    readonly tolerations?: readonly unknown[]
  }
  status: {
    phase: string
    reason?: string
    message?: string
    startTime?: string
    conditions?: readonly { type: string; status: string }[]
    containerStatuses?: readonly unknown[]
  }
}

export interface Ended {
  readonly exitCode: number
  /** As the container runtime has it. */
  readonly reason?: string
}

/** A container under way. */
export interface Container {
  readonly ended: Promise<Ended>
  signal(signal: 'SIGTERM' | 'SIGKILL'): void
  readonly said: () => string
}

interface Running {
  readonly pod: KubePod
  readonly container: Container
  /** What it will be said to have died of, whatever its exit code. */
  why?: Partial<KubePod['status']> & { readonly container?: Ended }
  isLost: boolean
}

const SCHEDULED_MS = 20

/** Runs pods, by default as processes, with one container each, and reports their state. */
export class Kubelet {
  report: (pod: KubePod) => void = () => {}
  gone: (pod: KubePod) => void = () => {}
  readonly #start: (pod: KubePod) => Container
  readonly #running = new Map<string, Running>()
  readonly #logs = new Map<string, string>()

  constructor(start: (pod: KubePod) => Container = process_) {
    this.#start = start
  }

  run(pod: KubePod): void {
    setTimeout(() => this.#begin(pod), SCHEDULED_MS)
  }

  log(name: string): string {
    return this.#running.get(name)?.container.said() ?? this.#logs.get(name) ?? ''
  }

  /** SIGTERM, and SIGKILL when its time is up. */
  terminate(name: string, graceMs: number): void {
    const running = this.#running.get(name)
    if (running === undefined || running.isLost) return
    running.container.signal('SIGTERM')
    setTimeout(() => running.container.signal('SIGKILL'), graceMs).unref()
  }

  kill(name: string): void {
    this.#running.get(name)?.container.signal('SIGKILL')
  }

  /** The kernel kills it for the memory it takes. */
  outOfMemory(name: string): void {
    this.#end(name, { container: { exitCode: 137, reason: 'OOMKilled' } })
  }

  /** The node is drained or reclaimed: its kubelet still tells. */
  evict(name: string): void {
    const conditions = [{ type: 'DisruptionTarget', status: 'True' }]
    this.#end(name, { reason: 'Terminated', message: 'the node was shutting down', conditions })
  }

  /** The node vanishes: nobody tells anything any more. */
  loseNode(name: string): void {
    const running = this.#running.get(name)
    if (running === undefined) return
    running.isLost = true
    running.container.signal('SIGKILL')
  }

  async close(): Promise<void> {
    const all = [...this.#running.values()]
    for (const { container } of all) container.signal('SIGKILL')
    await Promise.all(all.map(({ container }) => container.ended))
  }

  #begin(pod: KubePod): void {
    const { name } = pod.metadata
    const container = this.#start(pod)
    const running: Running = { pod, container, isLost: false }
    this.#running.set(name, running)
    pod.status = { phase: 'Running', startTime: new Date().toISOString() }
    this.report(pod)
    const { activeDeadlineSeconds } = pod.spec
    const deadline = setTimeout(
      () => this.#end(name, { reason: 'DeadlineExceeded' }),
      (activeDeadlineSeconds ?? 1e6) * 1000,
    )
    container.ended.then((ended) => {
      clearTimeout(deadline)
      this.#logs.set(name, container.said())
      this.#running.delete(name)
      if (running.isLost) return
      const { container: as = ended, ...why } = running.why ?? {}
      const isWell = as.exitCode === 0 && running.why === undefined
      const reason = as.reason ?? (as.exitCode === 0 ? 'Completed' : 'Error')
      const terminated = { ...as, reason, finishedAt: new Date().toISOString() }
      pod.status = {
        ...pod.status,
        ...why,
        phase: isWell ? 'Succeeded' : 'Failed',
        containerStatuses: [{ name: pod.spec.containers[0]?.name, state: { terminated } }],
      }
      this.report(pod)
      if (pod.metadata.deletionTimestamp !== undefined) this.gone(pod)
    })
  }

  #end(name: string, why: Running['why']): void {
    const running = this.#running.get(name)
    if (running === undefined || why === undefined) return
    running.why = why
    running.container.signal('SIGKILL')
  }
}

/** Its container as a real process, with the environment that the pod says and a machine's PATH. */
function process_({ spec }: KubePod): Container {
  const { command = [], args = [], env = [] } = spec.containers[0] ?? {}
  const [program = '', ...rest] = command
  const child: ChildProcess = spawn(program, [...rest, ...args], {
    env: {
      PATH: process.env.PATH,
      ...Object.fromEntries(env.map(({ name, value }) => [name, value])),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (piece) => {
      said = `${said}${piece}`.slice(-100_000)
    })
  const ended = new Promise<Ended>((resolve) => {
    child.on('error', (error) => {
      said += String(error)
      resolve({ exitCode: 128 })
    })
    child.on('close', (code, signal) =>
      resolve({ exitCode: code ?? (signal === 'SIGKILL' ? 137 : 143) }),
    )
  })
  return { ended, signal: (signal) => child.kill(signal), said: () => said }
}
