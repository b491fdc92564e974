import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import t from 'tap'
import { locate, openStore, parseUri, withinPrefixes } from '#shared/store/open.ts'
import { content, named } from '../../conformance/store.ts'

const PREFIXES = ['file:///mnt/masters', 'gs://masters/label one/', 'gs://other']

t.test('what lies below a prefix is within', async (t) => {
  for (const uri of [
    'file:///mnt/masters/a.wav',
    'file:///mnt/masters/a/b c/d.wav',
    'file:///mnt/masters/a%20b%25.wav',
    'FILE:///mnt/masters/a.wav',
    'file:///mnt/%6dasters/a.wav',
    'gs://masters/label one/a.wav',
    'GS://masters/label one/x/ü.wav',
    'gs://masters/label one/100%.wav',
    'gs://other/a',
  ])
    t.ok(withinPrefixes(uri, PREFIXES), uri)
})

t.test('nothing else is', async (t) => {
  for (const uri of [
    '',
    'x',
    '/mnt/masters/a.wav',
    'file:/mnt/masters/a.wav',
    'file://mnt/masters/a.wav',
    'file:////mnt/masters/a.wav',
    'file://localhost/mnt/masters/a.wav',
    'file://user@/mnt/masters/a.wav',
    'file:///mnt/masters',
    'file:///mnt/masters/',
    'file:///mnt/masters/folder/',
    'file:///mnt/masters2/a.wav',
    'file:///mnt/master/a.wav',
    'file:///MNT/masters/a.wav',
    'file:///mnt/masters/../secret',
    'file:///mnt/masters/a/../../secret',
    'file:///mnt/masters/%2e%2e/secret',
    'file:///mnt/masters/%2E./secret',
    'file:///mnt/masters/..%2fsecret',
    'file:///mnt/masters/..%5csecret',
    'file:///mnt/masters/..\\secret',
    'file:///mnt/masters//a.wav',
    'file:///mnt/masters/./a.wav',
    'file:///mnt/masters/a%00.wav',
    'file:///mnt/masters/a\0.wav',
    'file:///mnt/masters/a\n.wav',
    'file:///mnt/masters/a%zz.wav',
    'file:///mnt/masters/%ff.wav',
    'file:///mnt/masters/a.wav?x',
    'file:///mnt/masters/a.wav#x',
    'file:///mnt/masters/.~temporary',
    ' file:///mnt/masters/a.wav',
    'file:\\\\\\mnt\\masters\\a.wav',
    'gs://masters/label one',
    'gs://masters/label one/',
    'gs://masters/label one2/a.wav',
    'gs://masters/label two/a.wav',
    'gs://masters/label one/../label two/a.wav',
    'gs://masters/label one/%2e%2e/label two/a.wav',
    'gs://masters/label one/x%2F..%2F..%2Fa.wav',
    'gs://masters/label one//a.wav',
    'gs://masters/label%20one/a.wav',
    'gs://user@masters/label one/a.wav',
    'gs://masters:80/label one/a.wav',
    'gs://MASTERS/label one/a.wav',
    'gs:///masters/label one/a.wav',
    'http://masters/label one/a.wav',
    'data:,x',
    'concat:file:///mnt/masters/a.wav',
  ])
    t.notOk(withinPrefixes(uri, PREFIXES), JSON.stringify(uri))
  t.notOk(withinPrefixes('file:///a', []))
  t.throws(() => withinPrefixes('gs://other/a', ['s3://nonsense']), { code: 'bad-name' })
})

t.test(
  'whatever is within has a path that begins with the prefix, as the URL standard reads it',
  async () => {
    const piece = fc.constantFrom(
    '..', '.', '/', '//', '%2e', '%2E', '%2f', '%5c', '\\', '%00', '%', '%25', 'a', 'mnt', 'masters', '@', ':',
    '?', '#', ' ', '\t', 'é', '~',
  ) // biome-ignore format: one piece beside the other
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const uri = `file:///mnt/masters/${pieces.join('')}`
        if (!withinPrefixes(uri, ['file:///mnt/masters'])) return
        const { pathname, host } = new URL(uri)
        if (host !== '' || !/^\/mnt\/masters\/[^/]/.test(pathname)) throw new Error(pathname)
        const { driver, name } = locate(uri, { prefixes: ['file:///mnt/masters'] })
        if (!driver.uri(name).startsWith('file:///mnt/masters/')) throw new Error(name)
        if (name.split('/').includes('..')) throw new Error(name)
      }),
      { numRuns: 5000 },
    )
  },
)

t.test('a URI says what is wrong with it', async (t) => {
  for (const [uri, message] of [
    ['s3://bucket/x', /expected file:\/\/\/… or gs:\/\/…/],
    ['file://host/x', /takes no host/],
    ['gs://B/x', /"B" is no bucket/],
    ['file:///a/../b', /it has the segment "\.\."/],
    ['file:///a#1.wav', /write \? as %3F and # as %23/],
    ['file:///100%.wav', /write it as %25/],
  ] as const)
    t.throws(() => parseUri(uri), { name: 'StoreError', code: 'bad-name', message })
  t.same(parseUri('gs://masters/a%b/c'), {
    scheme: 'gs',
    authority: 'masters',
    path: ['a%b', 'c'],
  })
  t.same(parseUri('file:///a%25b/'), { scheme: 'file', authority: '', path: ['a%b'] })
})

t.test('a store gives URIs that locate takes back', async (t) => {
  for (const root of ['file:///mnt/some%20where', 'gs://bucket/some where', 'gs://bucket'])
    for (const name of ['a', 'a b/c.wav', '100%/ü#?.wav', 'assets/x/g1/aac-128@1.m4a']) {
      const uri = openStore(root).uri(named(name))
      t.ok(withinPrefixes(uri, [root]), uri)
      const { driver, name: found } = locate(uri, { prefixes: [root] })
      t.equal(found, name)
      t.equal(driver.uri(found), uri)
      const bare = locate(uri)
      t.equal(bare.driver.uri(bare.name), uri)
    }
})

t.test('locate names no object outside the prefixes, and none without a name', async (t) => {
  const out = { code: 'out-of-bounds' }
  t.throws(() => locate('file:///etc/passwd', { prefixes: PREFIXES }), out)
  t.throws(() => locate('gs://other-bucket/x', { prefixes: PREFIXES }), out)
  t.throws(() => locate('gs://bucket'), { code: 'bad-name' })
  t.throws(() => locate('gs://bucket/folder/'), { code: 'bad-name' })
  t.throws(() => locate('file:///'), { code: 'bad-name' })
})

t.test('a located master may be a link below its prefix, never beyond', async (t) => {
  const base = await mkdtemp(join(tmpdir(), 'locate-'))
  t.teardown(() => rm(base, { recursive: true }))
  await mkdir(join(base, 'masters/new'), { recursive: true })
  await mkdir(join(base, 'masters/old'))
  await writeFile(join(base, 'masters/old/a.wav'), 'sound')
  await writeFile(join(base, 'secret'), 'secret')
  await symlink('../old/a.wav', join(base, 'masters/new/a.wav'))
  await symlink('../../secret', join(base, 'masters/new/b.wav'))
  const prefixes = [pathToFileURL(join(base, 'masters')).href]
  const read = ({ driver, name }: ReturnType<typeof locate>) => content(driver, name)
  const uri = (name: string) => `${prefixes[0]}/new/${name}`
  t.equal((await read(locate(uri('a.wav'), { prefixes }))).toString(), 'sound')
  await t.rejects(read(locate(uri('b.wav'), { prefixes })), { code: 'out-of-bounds' })
  await t.rejects(read(locate(uri('a.wav'))), { code: 'out-of-bounds' })
})
