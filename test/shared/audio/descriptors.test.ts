import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { coded, wav } from '../../support/audio.ts'
import { sine } from '../../support/synth.ts'

const CHILD = fileURLToPath(
  new URL('../../support/processes/full-table-child.ts', import.meta.url),
)

t.test('where no more files can be opened nothing is said of the master', async (t) => {
  const path = join(t.testdir({}), 'a.ogg')
  await writeFile(path, await coded('a.ogg', wav([sine(4410, 440)]), ['-c:a', 'libvorbis']))
  const command = 'ulimit -n 64 && exec "$0" "$@"'
  // What nobody catches would end it.
  const { stdout } = await promisify(execFile)('sh', [
    '-c',
    command,
    process.execPath,
    CHILD,
    path,
  ])
  t.same(JSON.parse(stdout), {
    full: { survey: 'EMFILE', stage: 'EMFILE', read: 'EMFILE' },
    after: { survey: 'done', stage: 'done', read: 'done' },
  })
})
