import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { patient } from '../support/patience.ts'

/** A process that lives as a service does, after `start`, whose `lifecycle` and `open` (a file) it may use. */
async function living(t: Test, start: string, file: string): Promise<ChildProcess> {
  const program = `
    import { open } from 'node:fs/promises'
    import { runService } from '#shared/lifecycle.ts'
    import { createLog } from '#shared/log.ts'
    const alive = setInterval(() => {}, 1000)
    await runService(createLog('test'), async (lifecycle) => {
      lifecycle.onClose('alive', async () => clearInterval(alive))
      ${start}
    })
    console.log('up ' + ${JSON.stringify(file)})`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: new URL('../..', import.meta.url),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    if (String(chunk).includes('up ')) break
  }
  child.stdout.resume()
  return child
}

t.test('told to go, a process that has nothing to finish ends with 0', async (t) => {
  const child = await living(t, '', '')
  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null])
})

t.test(
  'a file operation that never ends keeps no process: process.exit would wait for it',
  async (t) => {
    // Nobody ever writes to it, so it can't be opened for reading: as on an NFS server that is gone.
    const fifo = join(t.testdir(), 'fifo')
    execFileSync('mkfifo', [fifo])
    const child = await living(t, `void open(${JSON.stringify(fifo)})`, fifo)
    const asked = performance.now()
    child.kill('SIGTERM')
    t.same(await once(child, 'exit'), [null, 'SIGKILL'])
    t.ok(performance.now() - asked < patient(10_000))
  },
)
