import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { hasPassword } from '../../../tools/cli/commands/start.ts'
import { targetOf } from '../../../tools/client/target.ts'
import { startChain } from '../../../tools/local/supervisor.ts'

const umask = process.umask()
t.teardown(() => process.umask(umask))

/** Every path below a folder, itself included, with its mode. Links are not followed. */
function modesBelow(path: string): [string, number][] {
  const found = lstatSync(path)
  const own: [string, number][] = [[path, found.mode]]
  if (!found.isDirectory()) return found.isSymbolicLink() ? [] : own
  return [...own, ...readdirSync(path).flatMap((name) => modesBelow(join(path, name)))]
}

t.test('other users of the machine can read nothing of a chain', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'trackchain-private-'))
  const data = join(folder, 'data')
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o755)
  // As an earlier release left it, with the usual umask.
  process.umask(0o022)
  mkdirSync(join(data, 'uploads', 'a'), { recursive: true })
  writeFileSync(join(data, 'uploads', 'a', 'old.upload'), 'secret')
  mkdirSync(join(data, 'logs'))
  writeFileSync(join(data, 'logs', 'trackchain.log'), 'secret')
  writeFileSync(join(data, 'processes.json'), '[]')

  const chain = await startChain({
    dataFolder: data,
    port: 0,
    pubsubPort: 0,
    onNotice: () => {},
  })
  try {
    const put = await fetch(`${chain.url}/v1/masters/a`, { method: 'PUT', body: 'RIFF' })
    t.equal(put.status, 201)
    await fetch(`${chain.url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"asset_guid":"a"}',
    })
    await sleep(500)
    const open = modesBelow(data).filter(([, mode]) => (mode & 0o066) !== 0)
    const inside = ['uploads', 'logs'].map((name) => join(data, name))
    // Older files are in folders that no other user may enter.
    const seen = open.filter(([path]) => !inside.some((each) => path.startsWith(`${each}/`)))
    t.same(seen, [])
    for (const path of inside) t.equal(lstatSync(path).mode & 0o077, 0, path)
    if (process.getuid?.() === 0) {
      const nobody = { uid: 65_534, gid: 65_534 }
      for (const name of [
        'pubsub.sqlite',
        'logs/trackchain.log',
        'owner.json',
        'uploads',
        '.',
      ]) {
        const { status } = spawnSync('ls', ['-l', join(data, name)], nobody)
        const read = spawnSync('cat', [join(data, name)], nobody)
        t.not(read.status, 0, name)
        if (['uploads/a', '.'].includes(name)) t.not(status, 0, name)
      }
    }
    const args = execFileSync('ps', [
      '-ww',
      '-o',
      'args=',
      ...Object.values(chain.pids()).flatMap((pid) => ['-p', `${pid}`]),
    ])
    t.notMatch(
      args.toString(),
      /postgres(?:ql)?:\/\//,
      'nor on the command lines of its processes',
    )
  } finally {
    await chain.close()
  }
})

t.test('a folder that every user may write to is refused', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'trackchain-open-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o1777)
  await t.rejects(startChain({ dataFolder: folder, onNotice: () => {} }), /a folder of its own/)
})

t.test('a password on the command line is refused, and not repeated', async (t) => {
  const bin = fileURLToPath(new URL('../../../tools/cli/bin.mjs', import.meta.url))
  const dsn = 'postgresql://user:hunter2@127.0.0.1:1/name'
  const child = spawn(bin, ['start', '--database', dsn, '--data', join(tmpdir(), 'never-made')])
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)]
  const [code] = await once(child, 'close')
  t.equal(code, 2)
  t.match(await stderr, /--database has a password in it.*PGPASSWORD/s)
  t.notMatch(`${await stdout}${await stderr}`, /hunter2/)
  for (const given of [
    'postgres://u:p@h/n',
    'postgresql://:p@h/n',
    'postgresql://u:p%40@h:5432/n?sslmode=require',
    'postgresql://u@h/n?password=p',
    'postgresql:///n?host=/s&password=p',
    'host=h user=u password=p',
    'PASSWORD = p host=h',
    'postgresql://h/n?sslpassword=p',
  ])
    t.ok(hasPassword(given), given)
  for (const given of [
    'postgresql://u@h:5432/n',
    'postgresql:///postgres?host=%2Ftmp%2Fx&user=trackchain',
    'postgres://h:5432/n?options=-c%20role=x',
    'host=h user=u dbname=password',
  ])
    t.notOk(hasPassword(given), given)
  t.throws(() => targetOf({ target: 'https://u:p@h' }), /name or password/)
})
