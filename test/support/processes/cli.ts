import { spawn } from 'node:child_process'
import { once } from 'node:events'

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
