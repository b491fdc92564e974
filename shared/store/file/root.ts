import { type BigIntStats, closeSync, existsSync, readlinkSync } from 'node:fs'
import { constants, lstat, realpath } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'
import { StoreError } from '../../contracts/errors/store.ts'
import { fileStat, openFile, syncFile } from './descriptor.ts'
import { notRegular } from './stat.ts'

/** The root folder of a file store. No name and no symbolic link may lead out of it. */
export interface FileRoot {
  readonly path: string
  /** The path of the object or folder of this name. The name must have been checked. */
  pathOf(name: string): string
  /**
   * Holds the regular file at a path, without opening it for reading; undefined when there is none.
   * @throws StoreError out-of-bounds when what is held lies outside the root; not-regular when it is no regular file.
   */
  file(path: string): Promise<HeldFile | undefined>
  /**
   * Holds the folder at a path; undefined when there is none. With `isLinkRefused` a symbolic link counts as none.
   * @throws StoreError out-of-bounds when what is held lies outside the root; ENOTDIR.
   */
  folder(
    path: string,
    options?: { readonly isLinkRefused?: boolean },
  ): Promise<HeldFolder | undefined>
}

/** A file held by a descriptor, so that renaming or replacing it changes nothing. The caller has to close it. */
interface HeldFile {
  /** A path that opens exactly this file. */
  readonly path: string
  readonly stat: BigIntStats
  close(): void
}

/** A folder held by a descriptor, so that renaming or replacing it changes nothing. The caller has to close it. */
export interface HeldFolder {
  /** A path to the entry of this name in exactly this folder. */
  at(name: string): string
  /** A path to the folder itself, to list it. */
  readonly path: string
  /** Makes its entries durable. */
  sync(): Promise<void>
  close(): void
}

/**
 * Where Linux shows which file a descriptor holds, and resolves to that file. Without it (macOS) a path is checked
 * before and after it is opened; someone who can change links in the store at the right instants can defeat that.
 */
const DESCRIPTORS = '/proc/self/fd'
const HAS_DESCRIPTORS = existsSync(DESCRIPTORS)
/** Linux's flag to hold a file without opening it: no FIFO blocks, and no device wakes. Node does not define it. */
const O_PATH = 0o10000000
/** Flags to open a file for reading. Without O_NONBLOCK, opening a FIFO that has no writer never returns. */
export const READING = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY
const LOOKING = HAS_DESCRIPTORS ? O_PATH : READING
const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY

export function fileRoot(root: string): FileRoot {
  const path = resolve(root)
  let known: string | undefined
  const holds = (real: string) =>
    known !== undefined && (real === known || real.startsWith(below(known)))

  /**
   * The real path of what a descriptor holds, which is checked itself, and not its name, which may lead elsewhere by
   * now.
   */
  async function checked(held: number, at: string): Promise<string> {
    const real = await whereIs(held, at)
    if (holds(real)) return real
    // The root's real path is not cached for good: it may be created, mounted or moved while the process runs.
    known = await realpath(path)
    if (holds(real)) return real
    // The kernel marks the path of a file or folder that has been removed.
    if (real.endsWith(' (deleted)')) throw Object.assign(new Error(real), { code: 'ENOENT' })
    throw new StoreError('out-of-bounds', 'a symbolic link leads out of its store', {
      cause: new Error(`${at} leads out of ${path}`),
    })
  }

  return {
    path,
    pathOf: (name) => below(path) + name,
    async file(at) {
      try {
        const held = await openFile(at, LOOKING)
        const close = () => closeSync(held)
        try {
          const real = await checked(held, at)
          const stat = await fileStat(held)
          if (!stat.isFile()) throw notRegular(at, stat)
          return { path: leadingTo(held, real), stat, close }
        } catch (error) {
          close()
          throw error
        }
      } catch (error) {
        if (isMissing(error)) return undefined
        throw error
      }
    },
    async folder(at, { isLinkRefused = false } = {}) {
      try {
        const flags = isLinkRefused ? FOLDER | constants.O_NOFOLLOW : FOLDER
        const held = await openFile(at, flags)
        const close = () => closeSync(held)
        try {
          const itself = leadingTo(held, await checked(held, at))
          return {
            ...{ path: itself, at: (name) => join(itself, name) },
            ...{ sync: () => synced(held), close },
          }
        } catch (error) {
          close()
          throw error
        }
      } catch (error) {
        if (hasCode(error, 'ENOENT')) return undefined
        if (isLinkRefused && hasCode(error, 'ENOTDIR', 'ELOOP')) return undefined
        throw error
      }
    },
  }
}

/** The real path of the held file. @throws Error, without /proc, when it was replaced meanwhile. */
async function whereIs(held: number, path: string): Promise<string> {
  // The kernel answers that from its memory, also where the file is on a server that is gone.
  if (HAS_DESCRIPTORS) return readlinkSync(`${DESCRIPTORS}/${held}`)
  const real = await realpath(path)
  const [there, found] = [await lstat(real, { bigint: true }), await fileStat(held)]
  if (there.ino === found.ino && there.dev === found.dev && (await realpath(path)) === real)
    return real
  throw new Error(`${path} was replaced while it was opened`)
}

function leadingTo(held: number, real: string): string {
  return HAS_DESCRIPTORS ? `${DESCRIPTORS}/${held}` : real
}

async function synced(held: number): Promise<void> {
  try {
    await syncFile(held)
  } catch (error) {
    // File systems that do not support this make their entries durable by themselves, or not at all.
    if (!hasCode(error, 'EINVAL', 'ENOTSUP', 'ENOSYS')) throw error
  }
}

/** Whether an error says that there is no such file. */
export function isMissing(error: unknown): boolean {
  return hasCode(error, 'ENOENT', 'ENOTDIR')
}

export function undefinedIfMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error
}

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException | undefined)?.code ?? '')
}

function below(folder: string): string {
  return folder.endsWith(sep) ? folder : folder + sep
}
