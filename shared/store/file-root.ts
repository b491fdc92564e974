import { realpath } from 'node:fs/promises'
import { resolve, sep } from 'node:path'
import { PermanentError } from '../errors.ts'

/** A folder that nothing may leave, by name or by symbolic link. */
export interface FileRoot {
  readonly path: string
  /** Where an object or folder of this name lies. The name has been checked. */
  pathOf(name: string): string
  /**
   * The path with all symbolic links followed.
   * @throws PermanentError MASTER_OUT_OF_BOUNDS when that lies outside the root; ENOENT.
   */
  real(path: string): Promise<string>
}

export function fileRoot(root: string): FileRoot {
  const path = resolve(root)
  let known: string | undefined
  const holds = (real: string) =>
    known !== undefined && (real === known || real.startsWith(below(known)))

  return {
    path,
    pathOf: (name) => below(path) + name,
    async real(inner) {
      const real = await realpath(inner)
      if (holds(real)) return real
      // Not looked up once for all: the root may be made, mounted or moved while we run.
      known = await realpath(path)
      if (holds(real)) return real
      throw new PermanentError(
        'MASTER_OUT_OF_BOUNDS',
        `${inner} leads out of ${path}, to ${real}: symbolic links must stay inside`,
      )
    },
  }
}

/** True when an error says that there is no such file. */
export function isMissing(error: unknown): boolean {
  return hasCode(error, 'ENOENT', 'ENOTDIR')
}

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException | undefined)?.code ?? '')
}

function below(folder: string): string {
  return folder.endsWith(sep) ? folder : folder + sep
}
