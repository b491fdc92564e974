import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access, readFile, stat } from 'node:fs/promises'
import { promisify } from 'node:util'

/** The account that the server runs as. */
export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/** Accounts to use instead of root, in this order: PostgreSQL refuses to run as root. */
const STAND_INS = ['postgres', 'nobody']

/**
 * The account to run the server as; undefined when our own will do.
 * @throws when we are root and no other account exists.
 */
export async function serverAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const lines = (await readFile('/etc/passwd', 'utf8'))
    .split('\n')
    .map((line) => line.split(':'))
  for (const stand of STAND_INS) {
    const [name, , uid, gid] = lines.find(([entry]) => entry === stand) ?? []
    if (name !== undefined && Number(uid) > 0)
      return { name, uid: Number(uid), gid: Number(gid) }
  }
  throw new Error(
    `PostgreSQL does not run as root, and there is no account ${STAND_INS.join(' or ')} here: ` +
      'add one (useradd --system postgres), or start as another user',
  )
}

/** The owner of a folder; undefined for root. The accounts of a machine may change after its files were made. */
export async function ownerOf(folder: string): Promise<Account | undefined> {
  const { uid, gid } = await stat(folder).catch(() => ({ uid: 0, gid: 0 }))
  return uid === 0 ? undefined : { name: `user ${uid}`, uid, gid }
}

/** Whether the account can pass through a folder, all the folders above it included. */
export async function mayEnter(folder: string, account: Account | undefined): Promise<boolean> {
  try {
    if (account === undefined) await access(folder, constants.X_OK)
    // Mode bits, access lists and mounts decide together, so the kernel is asked.
    else await promisify(execFile)('test', ['-x', folder], identity(account))
    return true
  } catch {
    return false
  }
}

/** The options of `spawn` that make a child run as the account. */
export function identity(account: Account | undefined): { uid?: number; gid?: number } {
  return account === undefined ? {} : { uid: account.uid, gid: account.gid }
}
