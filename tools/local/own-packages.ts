import { execFile } from 'node:child_process'
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/**
 * Installs packages that the project itself does without: those that the lockfile of a folder names, by their digests,
 * and without their scripts. They are kept below `.cache`, not among the sources.
 * @param timeoutMs how long npm may take, ms
 * @returns the folder in which they are installed
 * @throws when npm does not install them, e.g. because no registry can be reached
 */
export async function ownPackages(
  from: string,
  name: string,
  { timeoutMs }: { timeoutMs: number },
): Promise<string> {
  const into = join(import.meta.dirname, '..', '..', '.cache', name)
  await mkdir(into, { recursive: true })
  // npm writes the second file when it is done: half an install has none.
  const isDone = await lockOf(join(into, 'node_modules', '.package-lock.json'))
  if (isDone !== '' && (await lockOf(join(into, LOCK))) === (await lockOf(join(from, LOCK))))
    return into
  for (const file of ['package.json', LOCK]) await copyFile(join(from, file), join(into, file))
  // Node has a list of authorities of its own, and a network may have another.
  const env = { ...process.env, NODE_USE_SYSTEM_CA: '1' }
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--fetch-retries=1']
  await promisify(execFile)('npm', ['ci', ...flags], { cwd: into, env, timeout: timeoutMs })
  return into
}

const LOCK = 'package-lock.json'

function lockOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '')
}
