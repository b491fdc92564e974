import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { patient, until } from '../../support/patience.ts'

interface Living {
  readonly child: ChildProcess
  /** What it has said, line by line. */
  readonly said: string[]
}

/**
 * A process that lives as a service does, after `start`, which may use its `lifecycle`, `open` (a file) and `say`.
 * @param stdio more than its output, e.g. `ipc`
 */
async function living(t: Test, start: string, stdio: readonly 'ipc'[] = []): Promise<Living> {
  const program = `
    import { open } from 'node:fs/promises'
    import { runService } from '#shared/frame/lifecycle.ts'
    import { createLog } from '#shared/frame/telemetry/log.ts'
    const alive = setInterval(() => {}, 1000)
    const say = (what) => console.log(what)
    await runService(createLog('test', 'fatal'), async (lifecycle) => {
      lifecycle.onClose('alive', async () => clearInterval(alive))
      ${start}
    })
    say('up')`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: new URL('../../..', import.meta.url),
    stdio: ['ignore', 'pipe', 'inherit', ...stdio],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const said: string[] = []
  let rest = ''
  child.stdout?.on('data', (chunk) => {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop() ?? ''
    said.push(...lines.filter((line) => !line.startsWith('{')))
  })
  await until(() => said.includes('up') || child.exitCode !== null)
  return { child, said }
}

t.test('asked to stop, a process that has nothing to finish ends with 0', async (t) => {
  const { child, said } = await living(t, 'say(process.moduleLoadList.join())')
  t.notMatch(said.join(), 'internal/deps/undici', 'it has not loaded what it does not use')
  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null])
})

t.test(
  'a file operation that never ends keeps no process: process.exit would wait for it',
  async (t) => {
    // Nobody ever writes to it, so it can't be opened for reading: as on an NFS server that is gone.
    const fifo = join(t.testdir(), 'fifo')
    execFileSync('mkfifo', [fifo])
    const { child } = await living(t, `void open(${JSON.stringify(fifo)})`)
    const asked = performance.now()
    child.kill('SIGTERM')
    t.same(await once(child, 'exit'), [null, 'SIGKILL'])
    t.ok(performance.now() - asked < patient(10_000))
  },
)

t.test(
  'what was opened last is closed first, each before the next, whatever fails',
  async (t) => {
    const close = (name: string, fails = false) => `
    lifecycle.onClose('${name}', async () => {
      await new Promise(setImmediate)
      say('${name}' + (lifecycle.stopping.aborted ? '' : ' too early'))
      ${fails ? "throw new Error('no')" : ''}
    })`
    const start = [close('first'), close('second', true), close('third')].join('\n')
    const { child, said } = await living(t, start)
    child.kill('SIGINT')
    t.same(await once(child, 'close'), [0, null])
    t.same(said, ['up', 'third', 'second', 'first'])
  },
)

t.test(
  'a process that has done its work leaves by itself, with the code that was set',
  async (t) => {
    const start = `
    lifecycle.exitWith(75)
    lifecycle.onClose('slow', async () => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      say('closed')
    })
    setTimeout(() => { lifecycle.leave('done'); lifecycle.leave('once more') }, 50)`
    const { child, said } = await living(t, start)
    if (child.exitCode === null) await once(child, 'exit')
    t.equal(child.exitCode, 75, said.join())
    await until(() => said.includes('closed'))
  },
)

t.test(
  'a fault that nothing has caught ends the process with 1, and closes first',
  async (t) => {
    for (const fault of [
      "setTimeout(() => { throw new Error('uncaught') }, 50)",
      "setTimeout(() => Promise.reject(new Error('unhandled')), 50)",
      "throw new Error('at the start')",
    ]) {
      const start = `lifecycle.onClose('bus', async () => say('closed'))\n${fault}`
      const { child, said } = await living(t, start)
      if (child.exitCode === null) await once(child, 'close')
      t.equal(child.exitCode, 1, fault)
      await until(() => said.includes('closed'))
    }
  },
)

t.test('a process that has lost its parent stops', async (t) => {
  const { child } = await living(t, '', ['ipc'])
  child.disconnect()
  t.same(await once(child, 'exit'), [0, null])
})

t.test(
  'what runs longer than the drain is aborted, and nothing outlives the exit',
  async (t) => {
    const start = `
    let asked
    const since = () => performance.now() - asked
    const aborted = new Promise((resolve) => {
      lifecycle.aborting.addEventListener('abort', () => {
        say('aborted ' + since())
        resolve()
      })
    })
    lifecycle.stopping.addEventListener('abort', () => {
      asked = performance.now()
      say('stopping')
      // By the same clock, however busy the machine is.
      setTimeout(() => say('drain is over'), 10_500).unref()
      setTimeout(() => say('node is gone'), 14_500).unref()
    })
    process.on('exit', () => say('exit ' + since()))`
    const obeys = `lifecycle.onClose('subscriber', () => aborted)`
    const hangs = `lifecycle.onClose('subscriber', () => new Promise(() => {}))`
    const [good, bad] = await Promise.all(
      [obeys, hangs].map((close) => living(t, `${start}\n${close}`)),
    )
    const ends = [good, bad].map((each) => once((each as Living).child, 'close'))
    for (const each of [good, bad]) each?.child.kill('SIGTERM')
    const [[code], [late]] = (await Promise.all(ends)) as [[number], [number]]
    const ms = (of: Living | undefined, what: string) =>
      Number(of?.said.find((line) => line.startsWith(what))?.split(' ')[1])
    t.equal(code, 0, 'what was aborted has been given back')
    for (const each of [good, bad]) {
      t.ok(ms(each, 'aborted') >= 8_900, `${each?.said}`)
      const lines = each?.said.map((line) => line.split(' ')[0]) ?? []
      t.ok(lines.includes('aborted'), `${each?.said}`)
      t.notOk(each?.said.includes('node is gone'), `${each?.said}`)
      const over = each?.said.indexOf('drain is over') ?? -1
      if (over >= 0) t.ok(lines.indexOf('aborted') < over, `${each?.said}`)
    }
    t.ok(ms(good, 'exit') < patient(11_500), `${good?.said}`)
    t.equal(late, 1)
    t.ok(ms(bad, 'exit') >= 12_900, `${bad?.said}`)
  },
)
