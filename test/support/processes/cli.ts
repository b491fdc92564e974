import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { until } from '../patience.ts'

const CLI = new URL('../../../tools/cli/cli.ts', import.meta.url).pathname

/** Runs a command to its end, e.g. `runCli(['drill', '--help'])`. */
export async function runCli(args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  const child = spawn(process.execPath, [CLI, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr] = [child.stdout, child.stderr].map((s) =>
    s.setEncoding('utf8').toArray(),
  )
  const [code] = await once(child, 'close')
  return {
    code,
    stdout: (await stdout)?.join('') ?? '',
    stderr: (await stderr)?.join('') ?? '',
  }
}

/** `npm start` as a process of its own. */
interface Started {
  readonly pid: number
  /** URL of the HTTP API. */
  readonly url: string
  /** Host and port of its Pub/Sub server. */
  readonly pubsub: string
  /** Its output for people so far. */
  said(): string
  /** Ends it unless it has ended. @returns its exit code */
  close(): Promise<number | null>
}

/**
 * `npm start` on free ports, once it is up.
 * @throws Error with its output when it ends instead
 */
export async function npmStart(
  data: string,
  flags: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Started> {
  const args = [CLI, 'start', '--data', data, '--port', '0', '--pubsub-port', '0', ...flags]
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env } })
  let said = ''
  for (const output of [child.stdout, child.stderr]) {
    output.setEncoding('utf8').on('data', (text) => {
      said += text
    })
  }
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  const url = () => /API +(http:\S+)/.exec(said)?.[1]
  await until(() => url() !== undefined || hasEnded(), 150_000)
  if (url() === undefined) throw new Error(`it did not start: ${said}`)
  return {
    pid: child.pid as number,
    url: url() as string,
    pubsub: /Pub\/Sub +(\S+),/.exec(said)?.[1] as string,
    said: () => said,
    async close() {
      if (!hasEnded()) {
        child.kill('SIGTERM')
        await once(child, 'exit')
      }
      return child.exitCode
    },
  }
}
