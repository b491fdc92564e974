import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface TestRun {
  readonly outcome: 'passed' | 'failed' | 'too late'
  readonly seconds: number
  /** The end of its output. */
  readonly said: string
}

/** Runs one test file of a tree until its first failure, or until its time is up. */
export async function runTest(
  tree: string,
  file: string,
  { limitSeconds, temporary }: { limitSeconds: number; temporary: string },
): Promise<TestRun> {
  const began = performance.now()
  const child = spawn(process.execPath, [file], {
    cwd: tree,
    env: {
      ...ownEnvironment(),
      ...{ TMPDIR: temporary, TAP_BAIL: '1', TAP_TIMEOUT: String(limitSeconds) },
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own, so that the processes it starts can be ended with it.
    detached: true,
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said = `${said}${chunk}`.slice(-20_000)
    })
  }
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    endGroup(child.pid)
  }, limitSeconds * 1000)
  const [code] = await once(child, 'exit')
  clearTimeout(timer)
  endGroup(child.pid)
  const outcome = isLate ? 'too late' : code === 0 ? 'passed' : 'failed'
  return { outcome, seconds: (performance.now() - began) / 1000, said }
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // The group is empty.
  }
}

/** The environment without the variables that a run of the tests sets. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const given = Object.entries(process.env)
  return Object.fromEntries(given.filter(([name]) => !/^TAP/.test(name)))
}
