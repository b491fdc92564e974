import { execFile } from 'node:child_process'
import { loadRegistry, type Registry } from '#shared/assets/registry.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { UsageError } from '../terminal/usage.ts'

/** How long loading all definitions may take, ms. */
const MAX_MS = 30_000
const LOADED = 'loaded'

/**
 * Loads the derivative assets of a folder as each service will. Otherwise a faulty file would end every service again
 * and again. In a process of its own, because the files may do anything.
 * @throws UsageError that names the file and its fault
 */
export async function checkDerivatives(folder: string): Promise<void> {
  const args = [import.meta.filename, folder]
  const { promise, resolve } = Promise.withResolvers<string>()
  execFile(process.execPath, args, { timeout: MAX_MS }, (error, stdout, stderr) => {
    if (error === null && stdout.endsWith(LOADED)) resolve('')
    else
      resolve(
        stderr.trim() || `${folder}: a file ends its process, or loads for ${MAX_MS / 1000} s`,
      )
  })
  const fault = await promise
  if (fault !== '') throw new UsageError(`A derivative asset is faulty. ${fault}`)
}

/**
 * The derivative assets that a command can name: the built-in ones and those of a folder (default: none).
 * @throws UsageError that names the file and its fault
 */
export async function registryFrom(folder: string | undefined): Promise<Registry> {
  try {
    return await loadRegistry(folder)
  } catch (error) {
    throw new UsageError(`--derivatives: ${sentence(error)}`)
  }
}

if (import.meta.main) {
  try {
    await loadRegistry(process.argv[2])
    process.stdout.write(LOADED, () => process.exit(0))
  } catch (error) {
    process.stderr.write(sentence(error), () => process.exit(1))
  }
}
