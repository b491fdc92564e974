import { createHash } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { keepLetter } from '#shared/catalogue/letters/keep-letter.ts'
import { withoutPaths } from '#shared/contracts/errors/without-paths.ts'
import type { Verdict } from '#shared/contracts/messages/run.ts'
import { assetName, type Revision } from '#shared/contracts/names.ts'
import { accepted, ended, event, failed, made } from '../../shared/catalogue/fixture.ts'
import { aJob, bodyOf, post, sha256, startApi, until } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())
const stage = api.received('stage')
const LINKED = "EXDEV: cross-device link not permitted, link '…/a' -> '…/b c'"

t.test('of paths the last name is left, of what only looks like one all', (t) => {
  for (const [sentence, left] of [
    [
      'no master at file:///srv/label/a%20b.wav, nor at upload:a',
      'no master at file:…/a%20b.wav, nor at upload:a',
    ],
    [
      "ENOENT: no such file or directory, open '/mnt/nas/x y/z.wav'",
      "ENOENT: no such file or directory, open '…/z.wav'",
    ],
    [
      "EACCES: permission denied, open '/catalogue/x/y'",
      "EACCES: permission denied, open '…/y'",
    ],
    ["EXDEV: cross-device link not permitted, link '/n1/a' -> '/n2/b c'", LINKED],
    ['/data/assets/a/b.json is not what it was', '…/b.json is not what it was'],
    ['connect ENOENT /odd/place/.s.PGSQL.5432', 'connect ENOENT …/.s.PGSQL.5432'],
    ['x leads out of /home/ann/masters: no', 'x leads out of …/masters: no'],
    ['lies below file:///srv/masters/ alone', 'lies below file:…/masters alone'],
    ['GET /v1/schemas/encode-job has it', 'GET /v1/schemas/encode-job has it'],
    [
      '/derivative_assets/0 must be string, got "a/b"',
      '/derivative_assets/0 must be string, got "a/b"',
    ],
    [
      '3/4 at https://host/var/x and gs://bucket/tmp/x',
      '3/4 at https://host/var/x and gs://bucket/tmp/x',
    ],
    ['application/json or text/data/x', 'application/json or text/data/x'],
  ] as const) {
    t.equal(withoutPaths(sentence), left)
  }
  const hostile = `${"EIO: i, o '/a".repeat(50_000)} ${'/tmp'.repeat(200_000)} ${"'/".repeat(200_000)} ${'file://'.repeat(100_000)}`
  const began = performance.now()
  withoutPaths(hostile)
  t.ok(performance.now() - began < 5000, 'in time that is linear')
  t.end()
})

t.test('an upload is named, and not placed; a job that says the name gets it', async (t) => {
  const bytes = Buffer.from('RIFF of a kind')
  const put = await fetch(`${api.url}/v1/masters/up`, { method: 'PUT', body: bytes })
  const { master_uri } = await bodyOf(put)
  t.equal(master_uri, `upload:up/${sha256(bytes)}`)
  const job = await bodyOf(post(`${api.url}/v1/jobs`, aJob({ asset_guid: 'up', master_uri })))
  t.equal(job.status, 202)
  const { body } = await until('the message', () =>
    stage.all.find(({ body }) => body.job === job.job),
  )
  t.match(
    (body.masters as string[])[0],
    new RegExp(`^file:///.*/up/${sha256(bytes)}\\.upload$`),
  )
  for (const wrong of [
    'upload:up',
    'upload:../x',
    `upload:../${'0'.repeat(64)}`,
    `upload:a/b/${'0'.repeat(64)}`,
    'file:///etc/passwd',
    `file:///${'x/'.repeat(20)}y`,
  ]) {
    const refused = await bodyOf(post(`${api.url}/v1/jobs`, aJob({ master_uri: wrong })))
    t.match(refused, { status: 422, code: 'MASTER_OUT_OF_BOUNDS' }, wrong)
    t.notMatch(JSON.stringify(refused), /\/mnt|\/tmp/, wrong)
  }
})

t.test('only callers who operate the chain learn where things lie', async (t) => {
  const sentence = `no master at file:///mnt/secret/place/a.wav; open '${api.folder}/x.wav'`
  const run = accepted(['bpm', 'key'], { track: 'hidden' })
  const bad = { ...failed(), sentence } as Verdict
  await recordRuns(api.database, [ended(run, { bpm: made('x') as Verdict, key: bad })])
  await recordEvents(api.database, [event(run, { verdict: 'retry', sentence })])
  await keepLetter(api.database, {
    ...{ id: 'a'.repeat(32), message: '1', published: new Date(), step: 'stage' },
    ...{ code: 'NOT_A_MESSAGE', reason: sentence, attempt: 1 },
    body: Buffer.from(JSON.stringify({ masters: ['file:///mnt/secret/place/a.wav'] })),
    attributes: { route: 'cloud', dead_letter_reason: sentence },
  })
  const digest = (token: string) => createHash('sha256').update(token).digest('hex')
  const guarded = await api.replica({
    tokens: [
      { sha256: digest('reads'), scopes: ['read'], name: 'reader' },
      { sha256: digest('operates'), scopes: ['read', 'operate'], name: 'operator' },
    ],
  })
  const ask = async (path: string, token: string) => {
    const headers = { authorization: `Bearer ${token}` }
    return await (await fetch(`${guarded.url}${path}`, { headers })).text()
  }
  const { letters } = JSON.parse(await ask('/v1/dead-letters', 'reads'))
  t.ok(letters.length > 0)
  for (const path of [
    '/v1/tracks/hidden',
    '/v1/tracks/hidden/history',
    '/v1/tracks?q=hidden',
    `/v1/jobs/${run.request.request_id}`,
    '/v1/dead-letters',
    `/v1/dead-letters/${letters[0].id}`,
  ]) {
    const text = await ask(path, 'reads')
    t.notMatch(text, /\/mnt\/|secret\/|\/tmp\//, path)
    t.notOk(text.includes(api.folder), path)
    t.match(text, /hidden|stage/, path)
  }
  t.match(await ask(`/v1/dead-letters/${letters[0].id}`, 'operates'), /mnt\/secret\/place/)
})

t.test('a response about an asset that is gone says nothing that was true of it', async (t) => {
  const run = accepted(['bpm'], { track: 'gone' })
  await recordRuns(api.database, [ended(run, { bpm: made('x') as Verdict })])
  const path = `${api.url}/v1/tracks/gone/assets/bpm`
  const { revision, assets } = JSON.parse(
    await (await fetch(`${api.url}/v1/tracks/gone`)).text(),
  )
  const { version, files } = assets[0]
  const name = assetName(
    'gone',
    revision as Revision,
    { id: 'bpm', version },
    files[0].extension,
  )
  const body = Buffer.alloc(files[0].bytes, 0x20)
  await api.assets.create(name, body, { contentType: 'application/json' })
  const there = await fetch(path)
  t.equal(there.status, 200)
  const etag = there.headers.get('etag') ?? ''
  t.ok(etag)
  const known = await fetch(path, { headers: { 'if-none-match': etag } })
  t.same([known.status, known.headers.get('etag')], [304, etag])
  await api.assets.remove(name)
  for (const [method, headers] of [
    ['GET', {}],
    ['HEAD', {}],
    ['GET', { 'if-none-match': etag }],
    ['HEAD', { 'if-none-match': etag }],
    ['GET', { range: 'bytes=0-1' }],
    ['GET', { range: 'bytes=0-1', 'if-range': etag }],
    ['HEAD', { range: 'bytes=0-1' }],
  ] as const) {
    const response = await fetch(path, { method, headers })
    const what = `${method} ${JSON.stringify(headers)}`
    t.equal(response.status, 404, what)
    for (const header of [
      'etag',
      'accept-ranges',
      'content-range',
      'content-disposition',
      'last-modified',
    ])
      t.equal(response.headers.get(header), null, `${what}: ${header}`)
    t.equal(response.headers.get('cache-control'), 'no-store', what)
    t.match(response.headers.get('content-type'), /problem\+json/, what)
    const text = await response.text()
    if (method === 'GET') t.match(JSON.parse(text), { code: 'NOT_FOUND' })
    t.notOk(text.includes(api.folder))
  }
})

t.test('a store that is at fault says what, not where', async (t) => {
  const uploads = join(api.folder, 'a-file')
  await writeFile(uploads, '')
  t.teardown(() => rm(uploads))
  const broken = await api.replica({ uploads: `file://${uploads}` })
  const response = await fetch(`${broken.url}/v1/masters/x`, { method: 'PUT', body: 'RIFF' })
  const text = await response.text()
  t.equal(response.status, 503, text)
  t.match(response.headers.get('retry-after'), /^\d+$/)
  t.notOk(text.includes(api.folder), text)
})
