import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { hasPassword } from '../../../tools/cli/commands/start.ts'
import { targetOf } from '../../../tools/client/target.ts'
import { startChain } from '../../../tools/local/supervisor.ts'

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
