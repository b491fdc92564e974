import { execFile, spawnSync } from 'node:child_process'
import { realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const CHILD = fileURLToPath(
  new URL('../../support/processes/faulty-store-child.ts', import.meta.url),
)
const run = promisify(execFile)
const canTrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0
const skip = canTrace ? false : 'strace is not there, or may not trace'

t.test('a disk that fails is a passing fault, and nothing stays open', { skip }, async (t) => {
  const folder = await realpath(t.testdir({ 'm.wav': 'RIFF and so on' }))
  const paths = ['-P', join(folder, 'm.wav')]
  const fails = (error: string) => ({ stat: error, read: error, readInto: error })
  for (const [calls, where, expected] of [
    ['pread64:error=EIO', paths, { read: 'EIO', readInto: 'EIO', create: 'done' }],
    ['openat:error=EIO', paths, fails('EIO')],
    ['fstat,statx,newfstatat:error=EIO', paths, fails('EIO')],
    ['link,linkat:error=EROFS', [], { read: 'done', create: 'EROFS' }],
    ['fsync:error=EIO', [], { read: 'done', create: 'EIO' }],
  ] as const) {
    const args = ['-f', '-qq', '-o', '/dev/null', '-e', `inject=${calls}`, ...where]
    const { stdout } = await run('strace', [...args, process.execPath, CHILD, folder])
    t.match(JSON.parse(stdout), { ...expected, left: 0 }, calls)
  }
})
