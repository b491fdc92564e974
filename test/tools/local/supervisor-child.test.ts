import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Child, type ChildSpec, keepRunning } from '../../../tools/local/child.ts'
import { FolderInUseError, takeDataFolder } from '../../../tools/local/data-folder.ts'
import { openLogFile } from '../../../tools/local/log-file.ts'
import { endLeftovers, openRoll } from '../../../tools/local/process-registry.ts'
import { lull, until } from '../../support/patience.ts'

const LIVES = "process.send({ ready: true }); process.on('disconnect', () => process.exit(0))"

t.test('a process that dies is restarted, with another process id', async (t) => {
  const { child, notices } = kept(t, LIVES)
  await child.ready
  const first = child.pid as number
  process.kill(first, 'SIGKILL')
  await until(() => child.pid !== undefined && child.pid !== first)
  t.match(notices[0], /^it died \(SIGKILL\); starting it again in 0\.2 s$/)
  process.kill(child.pid as number, 'SIGKILL')
  await until(() => notices.length === 2)
  t.match(notices[1], /again in 0\.4 s/, 'and waits longer each time')
})

t.test('a process that never gets ready is reported with its last words', async (t) => {
  const { child } = kept(t, "console.error('no such database'); process.exit(3)")
  await t.rejects(child.ready, { message: /it died \(exit code 3\).*\nno such database/s })
})

t.test('a process that does not exit in time is killed', async (t) => {
  const { child } = kept(t, `${LIVES}; process.on('SIGTERM', () => {})`, { graceMs: 100 })
  await child.ready
  await child.stop()
  t.equal(child.pid, undefined)
})

t.test('a process is not restarted once it was stopped', async (t) => {
  const { child, notices } = kept(t, LIVES)
  await child.ready
  process.kill(child.pid as number, 'SIGKILL')
  await until(() => notices.length === 1)
  await child.stop()
  await lull(400)
  t.equal(child.pid, undefined)
})

t.test('processes that a supervisor left behind are ended, and no others', async (t) => {
  const folder = t.testdir({ 'deaf.js': 'setInterval(() => {}, 1000)' })
  const start = () => spawn(process.execPath, [join(folder, 'deaf.js')], { stdio: 'ignore' })
  const [left, other] = [start(), start()]
  t.teardown(() => [left, other].map((each) => each.kill('SIGKILL')))
  const gone = once(left, 'exit')
  const path = join(folder, 'processes.json')
  openRoll(path).add('encode', left.pid as number)
  // Another process may have the number of one that has ended.
  const marks = JSON.parse(readFileSync(path, 'utf8'))
  marks.push({ name: 'stage', pid: other.pid, born: '1' })
  writeFileSync(path, JSON.stringify(marks))
  t.same(await endLeftovers(path), ['encode'])
  t.equal((await gone)[1], 'SIGKILL')
  t.equal(other.exitCode, null)
  t.same(await endLeftovers(path), [], 'and then there is nothing left to end')
})

t.test('a data folder has one owner, until its process ends', async (t) => {
  const folder = join(t.testdir({}), 'data')
  const first = await takeDataFolder(folder)
  const second = takeDataFolder(folder)
  await t.rejects(second, FolderInUseError)
  await t.rejects(second, { message: new RegExp(`process ${process.pid}`) })
  first.release()
  const third = await takeDataFolder(folder)
  third.release()
})

t.test(
  'the log also holds lines that are not JSON, and older lines go to another file',
  async (t) => {
    const path = join(t.testdir({}), 'logs', 'chain.log')
    const log = openLogFile(path, () => {}, 1_000)
    log.write('encode', '{"severity":"INFO","message":"as it is"}')
    log.write('encode', 'Segmentation fault')
    await until(() => existsSync(path) && statSync(path).size > 50)
    const [first, second] = readFileSync(path, 'utf8').split('\n').map(parsed)
    t.same(first, { severity: 'INFO', message: 'as it is' })
    t.match(second, { service: 'encode', message: 'Segmentation fault' })
    for (let n = 0; n < 20; n++) log.write('encode', `{"message":"${'x'.repeat(100)}"}`)
    await log.close()
    t.ok(existsSync(`${path}.1`))
    t.ok(statSync(path).size <= 1_000)
    t.notOk(existsSync(`${path}.4`))
  },
)

function kept(t: Test, source: string, spec: Partial<ChildSpec> = {}) {
  const folder = t.testdir({ 'it.cjs': source })
  const log = openLogFile(join(folder, 'log'))
  const notices: string[] = []
  const child: Child = keepRunning(
    {
      ...{ name: 'it', script: join(folder, 'it.cjs'), env: process.env, graceMs: 2_000 },
      ...spec,
    },
    {
      ...{ log, roll: openRoll(join(folder, 'roll.json')) },
      onDeath: (sentence) => notices.push(sentence),
    },
  )
  t.teardown(async () => {
    await child.stop()
    await log.close()
  })
  return { child, notices }
}

function parsed(line: string): unknown {
  return line === '' ? undefined : JSON.parse(line)
}
