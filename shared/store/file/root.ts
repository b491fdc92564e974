import { existsSync } from 'node:fs'
import { constants, type FileHandle, lstat, open, readlink, realpath } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'
import { PermanentError } from '../../contracts/errors/chain.ts'
import { notRegular } from './stat.ts'

/** A folder that nothing may leave, by name or by symbolic link. */
export interface FileRoot {
  readonly path: string
  /** Where an object or folder of this name lies. The name has been checked. */
  pathOf(name: string): string
  /**
   * The regular file at a path, looked at but not opened for reading; undefined when there is none.
   * @throws PermanentError MASTER_OUT_OF_BOUNDS when what is held lies outside the root; MASTER_UNREADABLE when it is
   * no regular file.
   */
  file(path: string): Promise<HeldFile | undefined>
  /**
   * The folder at a path; undefined when there is none. With `isLinkRefused` a symbolic link is none, either.
   * @throws PermanentError MASTER_OUT_OF_BOUNDS when what is held lies outside the root; ENOTDIR.
   */
  folder(
    path: string,
    options?: { readonly isLinkRefused?: boolean },
  ): Promise<HeldFolder | undefined>
}

/** A file, whatever becomes of its name. To be closed. */
interface HeldFile {
  /** What opening this opens is this very file. */
  readonly path: string
  stat(): ReturnType<typeof bigStat>
  close(): Promise<void>
}

/** A folder, whatever becomes of its name. To be closed. */
export interface HeldFolder {
  /** What stands under a name in this very folder. */
  at(name: string): string
  /** Itself, to be listed. */
  readonly path: string
  /** Makes its entries durable. */
  sync(): Promise<void>
  close(): Promise<void>
}

/**
 * Where the kernel tells what a descriptor holds, and leads to what it holds. Without it (macOS) a path is looked at
 * before and after: whoever may change links in the store at the right instants can still deceive that.
 */
const DESCRIPTORS = '/proc/self/fd'
const HAS_DESCRIPTORS = existsSync(DESCRIPTORS)
/** Of Linux: holds whatever it is without opening it, so that no FIFO waits and no device wakes. Node has no name for it. */
const O_PATH = 0o10000000
/** Without O_NONBLOCK, opening a FIFO that nobody writes to never returns. */
export const READING = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY
const LOOKING = HAS_DESCRIPTORS ? O_PATH : READING
const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY

export function fileRoot(root: string): FileRoot {
  const path = resolve(root)
  let known: string | undefined
  const holds = (real: string) =>
    known !== undefined && (real === known || real.startsWith(below(known)))

  /** Judges what is held, and not its name, which may lead elsewhere by now. Closes it when it lies outside. */
  async function judged(
    held: FileHandle,
    at: string,
  ): Promise<{ held: FileHandle; real: string }> {
    try {
      const real = await whereIs(held, at)
      if (holds(real)) return { held, real }
      // Not looked up once for all: the root may be made, mounted or moved while we run.
      known = await realpath(path)
      if (holds(real)) return { held, real }
      // So the kernel calls a root that was removed since.
      if (real.endsWith(' (deleted)')) throw Object.assign(new Error(real), { code: 'ENOENT' })
      throw new PermanentError(
        'MASTER_OUT_OF_BOUNDS',
        'a symbolic link leads out of its store',
        { cause: new Error(`${at} leads out of ${path}`) },
      )
    } catch (error) {
      await held.close()
      throw error
    }
  }

  return {
    path,
    pathOf: (name) => below(path) + name,
    async file(at) {
      try {
        const { held, real } = await judged(await open(at, LOOKING), at)
        try {
          const found = await bigStat(held)
          if (!found.isFile()) throw notRegular(at, found)
        } catch (error) {
          await held.close()
          throw error
        }
        return {
          path: leadingTo(held, real),
          stat: () => bigStat(held),
          close: () => held.close(),
        }
      } catch (error) {
        if (isMissing(error)) return undefined
        throw error
      }
    },
    async folder(at, { isLinkRefused = false } = {}) {
      try {
        const flags = isLinkRefused ? FOLDER | constants.O_NOFOLLOW : FOLDER
        const { held, real } = await judged(await open(at, flags), at)
        const itself = leadingTo(held, real)
        return {
          path: itself,
          at: (name) => join(itself, name),
          sync: () => synced(held),
          close: () => held.close(),
        }
      } catch (error) {
        if (hasCode(error, 'ENOENT')) return undefined
        if (isLinkRefused && hasCode(error, 'ENOTDIR', 'ELOOP')) return undefined
        throw error
      }
    },
  }
}

function bigStat(held: FileHandle) {
  return held.stat({ bigint: true })
}

/** The real path of what is held. */
async function whereIs(held: FileHandle, path: string): Promise<string> {
  if (HAS_DESCRIPTORS) return readlink(`${DESCRIPTORS}/${held.fd}`)
  const real = await realpath(path)
  const [there, found] = [await lstat(real, { bigint: true }), await bigStat(held)]
  if (there.ino === found.ino && there.dev === found.dev && (await realpath(path)) === real)
    return real
  throw new Error(`${path} was replaced while it was opened`)
}

function leadingTo(held: FileHandle, real: string): string {
  return HAS_DESCRIPTORS ? `${DESCRIPTORS}/${held.fd}` : real
}

async function synced(held: FileHandle): Promise<void> {
  try {
    await held.sync()
  } catch (error) {
    // File systems that cannot do this keep their entries safe by themselves, or not at all.
    if (!hasCode(error, 'EINVAL', 'ENOTSUP', 'ENOSYS')) throw error
  }
}

/** True when an error says that there is no such file. */
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
