import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { linkKeys } from '../../../tools/local/link-keys.ts'

t.test('a key is made once, for its owner alone', (t) => {
  const path = join(t.testdir({}), 'link-keys.json')
  const said: string[] = []
  const keys = () => linkKeys({ linkKeys: path }, (each) => said.push(each), {})
  t.same(keys(), { TRACKCHAIN_LINK_KEYS_FILE: path })
  const made = readFileSync(path, 'utf8')
  t.match(JSON.parse(made), [/^[\w-]{43}$/])
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.same(keys(), { TRACKCHAIN_LINK_KEYS_FILE: path })
  t.equal(readFileSync(path, 'utf8'), made)
  t.same(said, [])
  t.end()
})

t.test('those of the environment go first, and what cannot be kept is said', (t) => {
  const path = join(t.testdir({}), 'none', 'link-keys.json')
  const said: string[] = []
  const keys = (env: NodeJS.ProcessEnv) =>
    linkKeys({ linkKeys: path }, (each) => said.push(each), env)
  for (const name of ['TRACKCHAIN_LINK_KEYS', 'TRACKCHAIN_LINK_KEYS_FILE'])
    t.same(keys({ [name]: 'x' }), {}, name)
  t.same(said, [])
  t.same(keys({}), {})
  t.match(said, [/^The key for links to assets cannot be kept: .*ENOENT/])
  t.end()
})
