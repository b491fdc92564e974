import { execFileSync } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

/**
 * Does something with an ffmpeg that believes to be on another processor: the one on the PATH, started with these
 * `-cpuflags` before whatever it is started with.
 */
export async function onOtherCpu<T>(flags: string, act: () => Promise<T>): Promise<T> {
  const before = process.env.PATH
  const real = execFileSync('sh', ['-c', 'command -v ffmpeg'], { encoding: 'utf8' }).trim()
  const folder = await mkdtemp(join(tmpdir(), 'trackchain-cpu-'))
  const path = join(folder, 'ffmpeg')
  await writeFile(path, `#!/bin/sh\nexec '${real}' -cpuflags ${flags} "$@"\n`)
  await chmod(path, 0o755)
  process.env.PATH = `${folder}${delimiter}${before}`
  try {
    return await act()
  } finally {
    process.env.PATH = before
    await rm(folder, { recursive: true })
  }
}
