import { execFile } from 'node:child_process'
import { access, chown, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Account, identity } from './account.ts'
import type { Binaries } from './binaries.ts'

/** The database's only role. The permissions of the socket's folder decide which accounts can connect. */
export const ROLE = 'trackchain'

/** The environment of the server's programs, without variables that would change what they do (PGDATA, …). */
export const ENVIRONMENT = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

/** The major version that made a data folder; undefined when the folder is missing or incomplete. */
export async function clusterVersion(dataDir: string): Promise<number | undefined> {
  try {
    const version = await readFile(join(dataDir, 'PG_VERSION'), 'utf8')
    await access(join(dataDir, 'global', 'pg_control'))
    return Number.parseInt(version, 10)
  } catch {
    return undefined
  }
}

/**
 * Makes a data folder, complete or not at all. An incomplete one in its place is moved aside.
 * @throws Error with the output of initdb.
 */
export async function makeCluster(
  dataDir: string,
  binaries: Binaries,
  account: Account | undefined,
  { durable, signal }: { readonly durable: boolean; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const half = `${dataDir}.half`
  await rm(half, { recursive: true, force: true })
  await mkdir(half, { mode: 0o700 })
  if (account !== undefined) await chown(half, account.uid, account.gid)
  const options = ['--auth=trust', '--encoding=UTF8', '--locale=C', '--data-checksums']
  if (!durable) options.push('--no-sync')
  try {
    await promisify(execFile)(
      binaries.initdb,
      [`--pgdata=${half}`, `--username=${ROLE}`, ...options],
      {
        ...identity(account),
        cwd: half,
        env: ENVIRONMENT,
        timeout: 120_000,
        ...(signal ? { signal } : {}),
      },
    )
  } catch (error) {
    await rm(half, { recursive: true, force: true })
    signal?.throwIfAborted()
    const { stderr, message } = error as Error & { stderr?: string }
    throw new Error(`initdb failed: ${(stderr || message).trim()}`, { cause: error })
  }
  await rename(dataDir, `${dataDir}.incomplete-${Date.now()}`).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    },
  )
  await rename(half, dataDir)
}
