import { execFile } from 'node:child_process'
import { readdir, readFile, readlink, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

/**
 * Signals in the order in which they are sent, each with its grace, ms: PostgreSQL's fast shutdown, its immediate one,
 * SIGKILL.
 */
const WAYS_OUT = [
  ['SIGINT', 5_000],
  ['SIGQUIT', 2_000],
  ['SIGKILL', 2_000],
] as const

/**
 * Ends the processes on a data folder whose server has lost its supervisor or its first process, and removes its pid
 * file. The caller must hold the folder's lock, so that no other process uses it. Takes up to 20 s.
 */
export async function stopOrphans(dataDir: string): Promise<void> {
  const pidFile = join(dataDir, 'postmaster.pid')
  const lines = await readFile(pidFile, 'utf8').catch(() => undefined)
  // A clean shutdown removes the file last: without it there are no orphans.
  if (lines === undefined) return
  const first = Number.parseInt(lines, 10)
  if (first > 1 && (await belongs(first, dataDir))) await end([first])
  await end(await processesIn(dataDir))
  // Another process may have its number by now, and PostgreSQL would take that process for a running server.
  await rm(pidFile, { force: true })
}

async function end(pids: readonly number[]): Promise<void> {
  for (const [signal, ms] of WAYS_OUT) {
    for (const pid of pids) tell(pid, signal)
    const deadline = performance.now() + ms
    while (await anyAlive(pids)) {
      if (performance.now() > deadline) break
      await sleep(20)
    }
    if (!(await anyAlive(pids))) return
  }
  throw new Error(`processes ${pids.join(', ')} of an earlier PostgreSQL do not end`)
}

function tell(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

async function anyAlive(pids: readonly number[]): Promise<boolean> {
  for (const pid of pids) if (tell(pid, 0) && !(await isZombie(pid))) return true
  return false
}

// In a container no init process may reap an orphan. The state follows the name in parentheses.
async function isZombie(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat.slice(stat.lastIndexOf(')')).startsWith(') Z')
}

/** Whether a process is a server on this very folder, and not another one that got its number later. */
async function belongs(pid: number, dataDir: string): Promise<boolean> {
  if (process.platform === 'linux') return (await folderOf(pid)) === dataDir
  const { stdout } = await promisify(execFile)('ps', ['-o', 'command=', '-p', `${pid}`]).catch(
    () => ({ stdout: '' }),
  )
  return stdout.includes('postgres') && stdout.includes(dataDir)
}

/** The server's processes: all have the data folder as working directory. Empty except on Linux. */
async function processesIn(dataDir: string): Promise<number[]> {
  if (process.platform !== 'linux') return []
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 1)
  const folders = await Promise.all(pids.map(folderOf))
  return pids.filter((_, index) => folders[index] === dataDir)
}

async function folderOf(pid: number): Promise<string | undefined> {
  try {
    const program = basename(await readlink(`/proc/${pid}/exe`))
    if (!/^(postgres|postmaster)\b/.test(program)) return undefined
    return await readlink(`/proc/${pid}/cwd`)
  } catch {
    return undefined
  }
}
