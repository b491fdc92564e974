import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { openDatabase } from '#shared/catalogue/database.ts'
import { identity, serverAccount } from '../../../tools/local/postgres/account.ts'
import { findBinaries } from '../../../tools/local/postgres/binaries.ts'
import { startPostgres } from '../../../tools/local/postgres/postgres.ts'
import { keepDatabase } from '../../../tools/local/supervised-postgres.ts'

type Test = { teardown(end: () => unknown): void }

const MODULE = new URL('../../../tools/local/postgres/postgres.ts', import.meta.url).href
const STARTER = `
  const { startPostgres } = await import(process.argv[1])
  const settings = { fsync: 'off' }
  const { dsn, pid } = await startPostgres({ dataDir: process.argv[2], settings })
  console.log(JSON.stringify({ dsn, pid }))
  setInterval(() => {}, 1000)
`

/** Faster, and as safe against a kill. The first test runs without them. */
const settings = { fsync: 'off' }

t.test('a server that is stopped while it is being restarted is stopped', async (t) => {
  const dataDir = await folder(t)
  for (const afterMs of [0, 300, 600]) {
    const { promise: died, resolve: dies } = Promise.withResolvers<string>()
    const database = await keepDatabase({
      ...{ folder: dataDir, notice: dies, log: () => {}, onStart: () => {}, signal: undefined },
    })
    process.kill(database.pid ?? 0, 'SIGKILL')
    await died
    await sleep(afterMs)
    await database.stop()
    t.equal(database.pid, undefined, `${afterMs} ms after it died`)
    // The folder is free.
    await (await startPostgres({ dataDir })).stop()
  }
})

t.test('committed rows survive every kind of end', async (t) => {
  const dataDir = await folder(t)
  const first = await startPostgres({ dataDir })
  const { dsn } = first
  t.same(await sql(dsn, 'show listen_addresses'), [{ listen_addresses: '' }], 'no network')
  await sql(dsn, 'create table kept (what text)')
  await sql(dsn, `insert into kept values ('committed')`)
  await first.stop()
  await first.stop()

  await t.test('a clean one', async (t) => {
    const postgres = await startPostgres({ dataDir })
    t.equal(postgres.dsn, dsn, 'at the same address')
    t.same(await sql(dsn, 'select what from kept'), [{ what: 'committed' }])
    await sql(dsn, `insert into kept values ('before the kill')`)
    process.kill(postgres.pid, 'SIGKILL')
    t.match(await postgres.exited, { signal: 'SIGKILL' })
  })

  await t.test('a kill -9 of the server', async (t) => {
    const postgres = await startPostgres({ dataDir })
    t.equal(postgres.dsn, dsn)
    t.equal((await sql(dsn, 'select what from kept')).length, 2)
    await postgres.stop()
  })

  await t.test('a kill -9 of the process that started it', async (t) => {
    const { child, pid } = await starter(t, dataDir)
    await sql(dsn, `insert into kept values ('from a child')`)
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    const postgres = await startPostgres({ dataDir })
    t.not(postgres.pid, pid)
    t.equal((await sql(dsn, 'select what from kept')).length, 3)
    await postgres.stop()
  })

  await t.test('a kill -9 of both at once', async (t) => {
    const { child, pid } = await starter(t, dataDir)
    const ended = once(child, 'exit')
    process.kill(pid, 'SIGKILL')
    child.kill('SIGKILL')
    await ended
    const postgres = await startPostgres({ dataDir })
    t.equal((await sql(dsn, 'select what from kept')).length, 3)
    await postgres.stop()
  })
})

t.test('a server that lost its supervisor is replaced', async (t) => {
  const dataDir = await folder(t)
  const { dsn, stop } = await startPostgres({ dataDir, settings })
  await stop()
  const data = join(dataDir, 'data')
  const { postgres: program } = await findBinaries({
    ...{ searchPath: '', packagesFrom: import.meta.dirname, copyTo: join(dataDir, 'programs') },
    account: await serverAccount(),
  })
  const options = [
    '-D',
    data,
    '-c',
    'listen_addresses=',
    '-c',
    `unix_socket_directories=${data}`,
  ]
  const orphan = spawn(program, options, {
    ...identity(await serverAccount()),
    ...{ cwd: data, stdio: 'ignore' as const },
  })
  t.teardown(() => orphan.kill('SIGKILL'))
  const ended = once(orphan, 'exit')
  while (
    !(await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).includes('ready')
  )
    await sleep(20)
  const postgres = await startPostgres({ dataDir, settings })
  await ended
  t.same(await sql(dsn, 'select 1 as one'), [{ one: 1 }])
  await postgres.stop()
})

t.test('a pid file whose number another process has by now is no obstacle', async (t) => {
  const dataDir = await folder(t)
  const first = await startPostgres({ dataDir, settings })
  await first.stop()
  const innocent = spawn('sleep', ['60'], {
    ...identity(await serverAccount()),
    stdio: 'ignore',
  })
  t.teardown(() => innocent.kill())
  const pidFile = join(dataDir, 'data', 'postmaster.pid')
  await writeFile(pidFile, `${innocent.pid}\n${join(dataDir, 'data')}\n1\n5432\n/tmp\n\n`)
  const postgres = await startPostgres({ dataDir, settings })
  t.equal(innocent.exitCode ?? innocent.signalCode, null, 'and no other process is harmed')
  await postgres.stop()
})

t.test('one folder has one server', async (t) => {
  const dataDir = await folder(t)
  const { child, dsn } = await starter(t, dataDir)
  await t.rejects(startPostgres({ dataDir, settings }), /another process/)
  t.same(await sql(dsn, 'select 1 as one'), [{ one: 1 }], 'and it is left in peace')
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
  const next = await startPostgres({ dataDir, settings })
  await next.stop()
})

t.test('a folder that is incomplete is made anew', async (t) => {
  const dataDir = await folder(t)
  await mkdir(join(dataDir, 'data.half', 'base'), { recursive: true })
  await mkdir(join(dataDir, 'data'))
  await writeFile(join(dataDir, 'data', 'PG_VERSION'), '15\n')
  const postgres = await startPostgres({ dataDir, settings })
  t.same(await sql(postgres.dsn, 'select 1 as one'), [{ one: 1 }])
  await postgres.stop()
  t.match((await readdir(dataDir)).join(), /data\.incomplete-/, 'what was there is put aside')
})

t.test(
  'a folder of another version is refused, naming the version, and not changed',
  async (t) => {
    const dataDir = await folder(t)
    const first = await startPostgres({ dataDir, settings })
    await first.stop()
    const file = join(dataDir, 'data', 'PG_VERSION')
    const version = await readFile(file, 'utf8')
    await writeFile(file, '9\n')
    await t.rejects(startPostgres({ dataDir, settings }), /made by PostgreSQL 9.*found: \d+/)
    await writeFile(file, version)
    const again = await startPostgres({ dataDir, settings })
    await again.stop()
  },
)

t.test('a server that cannot start says why', async (t) => {
  const dataDir = await folder(t)
  const odd = { ...settings, shared_buffers: 'a lot' }
  await t.rejects(startPostgres({ dataDir, settings: odd }), /did not start.*shared_buffers/s)
  const postgres = await startPostgres({ dataDir, settings })
  await postgres.stop()
})

t.test(
  'a folder that the server’s account may not enter is replaced by one that it may',
  { skip: process.getuid?.() === 0 ? false : 'only root runs it as somebody else' },
  async (t) => {
    const parent = await folder(t)
    await chmod(parent, 0o700)
    const notes: string[] = []
    const note = (text: string) => notes.push(text)
    const options = { dataDir: join(parent, 'inner'), settings, note }
    const postgres = await startPostgres(options)
    t.teardown(() => rm(postgres.dataDir, { recursive: true }))
    t.match(notes, [/may not enter/])
    t.not(postgres.dataDir, options.dataDir)
    await sql(postgres.dsn, 'create table kept (what text)')
    await postgres.stop()
    const again = await startPostgres(options)
    t.same(await sql(again.dsn, 'select what from kept'), [], 'the same one every time')
    await again.stop()
  },
)

async function folder(t: Test): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'trackchain-pg-'))
  t.teardown(() => rm(made, { recursive: true, force: true }))
  return made
}

async function starter(t: Test, dataDir: string) {
  const child: ChildProcess = spawn(
    process.execPath,
    ['--input-type=module', '-e', STARTER, MODULE, dataDir],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  t.teardown(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  const [line] = (await once(lines, 'line')) as [string]
  return { child, ...(JSON.parse(line) as { dsn: string; pid: number }) }
}

async function sql(dsn: string, text: string): Promise<object[]> {
  const database = openDatabase({ dsn, poolSize: 1 })
  try {
    return await database.query({ text })
  } finally {
    await database.close()
  }
}
