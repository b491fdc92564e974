import { spawn } from 'node:child_process'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { keepLetter } from '#shared/catalogue/letters/keep-letter.ts'
import { jobId } from '#shared/contracts/names.ts'
import type { DeadLetter } from '#shared/frame/dead-letter.ts'
import { deadLetters } from '../../../tools/cli/commands/dead-letters/dead-letters.ts'
import { post, startApi, until } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())
const ingest = api.received('ingest')
const events = api.received('events')
const letters = `${api.url}/v1/dead-letters`
const NASTY = '\x1b[2J\x07\u202E<script>alert(1)</script>\r\n{"fake":"line"}'

let lastPublished = Date.now()

/** Keeps a letter about a track, published after the one before. */
async function kept(track: string, over: Partial<DeadLetter> = {}): Promise<string> {
  const request_id = randomUUID()
  const request = { request_id, asset_guid: track, derivative_assets: ['bpm'] }
  const letter: DeadLetter = {
    ...{
      id: randomBytes(16).toString('hex'),
      message: '1',
      published: new Date(++lastPublished),
    },
    ...{ step: 'stage', code: 'MASTER_NOT_FOUND', reason: 'not there', attempt: 1 },
    ...{ body: Buffer.from(JSON.stringify(request)), attributes: { route: 'cloud' } },
    job: { id: jobId(request_id, track), run: 1, request },
    ...over,
  }
  await keepLetter(api.database, letter)
  return letter.id
}

interface Answer {
  readonly code: string
  readonly detail: string
  readonly at: string
  readonly letters: readonly { id: string; asset_guid: string }[]
  readonly next: string | null
  readonly redriven: number
  readonly left: number
  readonly not_redrivable: number
  readonly results: readonly { id: string; status: string; code: string }[]
}

async function get(query: string): Promise<Answer> {
  return (await (await fetch(`${letters}${query}`)).json()) as Answer
}

async function redrive(body: unknown): Promise<Answer> {
  return (await (await post(`${letters}/redrive`, body)).json()) as Answer
}

t.test('letters are listed by what is asked for, page by page', async (t) => {
  for (const n of [1, 2, 3]) await kept('paged', { published: new Date(1e12 + n) })
  const seen: string[] = []
  let next: string | null = '?track=paged&limit=2&code=MASTER_NOT_FOUND'
  while (next !== null) {
    const page: Answer = await get(next)
    seen.push(...page.letters.map(({ id }) => id))
    next = page.next?.replace('/v1/dead-letters', '') ?? null
  }
  t.equal(new Set(seen).size, 3)
  t.equal(seen.length, 3)
  t.match((await get('?track=paged')).letters[0], {
    ...{ state: 'open', step: 'stage', code: 'MASTER_NOT_FOUND', reason: 'not there' },
    ...{ remedy: /redrive/, redrivable: true, run: 1, asset_guid: 'paged', settled: null },
  })
  t.same((await get('?track=paged&step=encode')).letters, [])
  t.same((await get('?track=paged&asset=key')).letters, [])
  t.equal((await get('?track=paged&before=2001-09-09T01:46:40.003Z')).letters.length, 2)
  t.same((await get('?track=paged&state=redriven')).letters, [])
})

t.test('one is shown whole, whatever is in it', async (t) => {
  const text = await kept('whole', {
    ...{ reason: NASTY, code: NASTY, attributes: { x: NASTY } },
    body: Buffer.from(NASTY),
  })
  const response = await fetch(`${letters}/${text}`)
  t.match(response.headers.get('content-type'), /^application\/json/)
  t.equal(response.headers.get('cache-control'), 'no-store')
  t.match(await response.json(), {
    ...{
      id: text,
      body: NASTY,
      reason: NASTY,
      attributes: { x: NASTY },
      bytes: NASTY.length + 2,
    },
  })
  const bytes = await kept('bytes', { body: Buffer.from([0xff, 0x00]) })
  t.match(await get(`/${bytes}`), { body_base64: '/wA=', body: undefined })
})

t.test('what cannot be understood is refused, and says why', async (t) => {
  const id = 'f'.repeat(32)
  const refused: [() => Promise<Response>, number, string, RegExp][] = [
    [() => fetch(`${letters}/${id}`), 404, 'NOT_FOUND', /no dead letter f+\./],
    [() => fetch(`${letters}/..%2fx`), 400, 'BAD_REQUEST', /id must match pattern/],
    [() => fetch(`${letters}?state=lost`), 400, 'BAD_REQUEST', /state/],
    [() => fetch(`${letters}?before=yesterday`), 400, 'BAD_REQUEST', /date-time/],
    [() => fetch(`${letters}?step=a%00b`), 400, 'BAD_REQUEST', /step must match/],
    [() => fetch(`${letters}?codes=X`), 400, 'BAD_REQUEST', /unknown property "codes"/],
    [() => fetch(`${letters}?page=1`), 400, 'BAD_REQUEST', /page must match/],
    [() => post(`${letters}/redrive`, ''), 400, 'NOT_JSON', /empty; expected what to redrive/],
    [() => post(`${letters}/redrive`, {}), 400, 'BAD_REQUEST', /neither ids and filter/],
    [() => post(`${letters}/redrive`, { ids: [id], filter: {} }), 400, 'BAD_REQUEST', /both/],
    [
      () => post(`${letters}/redrive`, { ids: ['x'] }),
      400,
      'BAD_REQUEST',
      /\/ids\/0 must match/,
    ],
    [() => post(`${letters}/redrive`, { filter: {}, rate: 0 }), 400, 'BAD_REQUEST', /rate/],
    [() => post(`${letters}/redrive`, { filter: { all: 1 } }), 400, 'BAD_REQUEST', /"all"/],
    [() => post(`${letters}/${id}/discard`, {}), 400, 'BAD_REQUEST', /reason/],
    [
      () => post(`${letters}/${id}/discard`, { reason: 'x' }),
      404,
      'NOT_FOUND',
      /no dead letter/,
    ],
    [() => fetch(`${letters}/${id}`, { method: 'DELETE' }), 405, 'METHOD_NOT_ALLOWED', /GET/],
  ]
  for (const [send, status, code, detail] of refused) {
    const response = await send()
    t.equal(response.status, status, `${detail}`)
    t.match(await response.json(), { code, detail })
  }
})

t.test('a filter redrives what it lets through, at a pace, each once', async (t) => {
  const ids = [await kept('paced-1'), await kept('paced-2'), await kept('paced-3')]
  await kept('paced-1', { step: 'encode' })
  const { job: _job, ...jobless } = { job: undefined }
  await kept('none', { code: 'NOT_JSON', ...jobless })
  for (const track of ['paged', 'whole', 'bytes'])
    await redrive({ filter: { track }, rate: 1000 })
  const filter = { step: 'stage', code: 'MASTER_NOT_FOUND' }
  const before = ingest.all.length
  t.match(await redrive({ filter, dry_run: true }), {
    ...{ dry_run: true, redriven: 0 },
    results: ids.map((id) => ({ id, status: 'redrivable', run: 2 })),
  })
  const began = performance.now()
  t.match(await redrive({ filter, limit: 2, rate: 4 }), {
    ...{ redriven: 2, left: 1 },
    results: ids.slice(0, 2).map((id) => ({ id, status: 'redriven', run: 2, step: 'stage' })),
  })
  t.ok(performance.now() - began >= 245, 'the second came a quarter of a second later')
  await kept('paced-4')
  t.match(
    await redrive({ filter, rate: 0.001 }),
    { redriven: 1, left: 1 },
    'no caller is left to wait for a quarter of an hour',
  )
  t.match(await redrive({ filter, rate: 1000 }), { redriven: 1, left: 0 })
  t.match(await redrive({ filter }), { redriven: 0, left: 0, results: [] })
  t.match(await redrive({ ids }), {
    redriven: 0,
    results: ids.map((id) => ({ id, status: 'refused', code: 'LETTER_TAKEN' })),
  })
  await until('the jobs', () => ingest.all.length >= before + 4 || undefined)
  t.match(
    ingest.all.slice(before).map(({ body, attributes }) => [body.asset_guid, attributes.run]),
    [
      ['paced-1', '2'],
      ['paced-2', '2'],
      ['paced-3', '2'],
      ['paced-4', '2'],
    ],
  )
  t.match(await get(`/${ids[0]}`), {
    state: 'redriven',
    settled: { by: 'a user of this machine', run: 2, at: /^\d{4}-/ },
  })
})

t.test('a discard is reported with its reason, word for word', async (t) => {
  const id = await kept('discarded')
  t.match(await (await post(`${letters}/${id}/discard`, { reason: NASTY })).json(), {
    ...{ state: 'discarded', settled: { reason: NASTY } },
  })
  await until('the event', () =>
    events.all
      .flatMap(({ body }) => body.events as { verdict: string; sentence: string }[])
      .find(({ verdict, sentence }) => verdict === 'discarded' && sentence.includes(NASTY)),
  )
  t.match(await redrive({ ids: [id] }), { results: [{ code: 'LETTER_TAKEN' }] })
})

t.test('when Pub/Sub does not take it the letter stays open', async (t) => {
  const id = await kept('unsent')
  const broken = await api.replica({
    events: { report: () => Promise.reject(new Error('the link is down')) },
  })
  const response = await post(`${broken.url}/v1/dead-letters/redrive`, { ids: [id] })
  t.equal(response.status, 503)
  t.match(await response.json(), { code: 'UPSTREAM_DOWN', detail: /the link is down/ })
  t.match(await redrive({ ids: [id] }), { redriven: 1 })
})

t.test('the command lists, shows, redrives and discards', async (t) => {
  const token = 'an-operators-own'
  const tokenFile = join(api.folder, 'token')
  await writeFile(tokenFile, `${token}\n`)
  const sha256 = createHash('sha256').update(token).digest('hex')
  const scopes = ['read', 'operate'] as const
  const guarded = await api.replica({ tokens: [{ sha256, scopes: [...scopes], name: 'ops' }] })
  const as = ['--url', guarded.url, '--token-file', tokenFile]
  const run = (...args: string[]) => inProcess([...args, ...as])
  const id = await kept('by-hand', { reason: NASTY, body: Buffer.from(NASTY) })
  const list = await command(['dead-letters', 'list', '--track', 'by-hand', ...as])
  t.equal(list.code, 0, list.stderr)
  t.match(
    list.stdout,
    new RegExp(`^${id}  \\d+ s  stage  MASTER_NOT_FOUND  by-hand  run 1  bpm`),
  )
  const show = await run('show', id)
  t.match(show.stdout, /what to do +Deliver the master/)
  for (const { stdout } of [list, show]) {
    t.match(stdout, String.raw`\u001b[2J\u0007\u202e<script>`)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    t.notMatch(stdout, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/, 'a terminal obeys nothing of it')
  }
  const dry = await run('redrive', '--track', 'by-hand', '--dry-run')
  t.match(dry, {
    code: 0,
    stdout: /^redrivable +\w+ +as run 2/,
    stderr: '1 would be redriven.\n',
  })
  const done = await run('redrive', id, '--json')
  t.match(JSON.parse(done.stdout), { redriven: 1, refused: 0, results: [{ id, run: 2 }] })
  t.equal(done.code, 0)
  t.match(await get(`/${id}`), { settled: { by: 'ops' } })
  const again = await run('redrive', id)
  t.match(again, { code: 1, stdout: /^refused .*LETTER_TAKEN/, stderr: /1 refused/ })
  const other = await kept('by-hand')
  t.match(await run('discard', other, '--reason', 'no need'), { code: 0, stdout: /discarded/ })

  for (const [args, expected] of [
    [['redrive'], /either IDs or a filter/],
    [['redrive', id, '--all'], /either IDs or a filter/],
    [['list', '--before', 'soon'], /--before must be/],
    [['show', 'x'], /32 hexadecimal digits/],
    [['discard', id], /needs a --reason/],
    [['lose'], /no command lose; there are list/],
  ] as const) {
    await t.rejects(run(...args), { name: 'UsageError', message: expected }, args.join(' '))
  }
  t.match(await inProcess(['list', '--url', guarded.url]), { code: 1, stderr: /^UNAUTHORIZED/ })
  const nobody = inProcess(['list', '--url', 'http://127.0.0.1:9'])
  await t.rejects(nobody, /no response from http:\/\/127\.0\.0\.1:9/)
  t.match(await run('list', '--track', 'by-hand', '--before', '1d'), {
    stdout: /^No such letters/,
  })
  t.match(await inProcess([]), { code: 0, stdout: /redrive ID… \| FILTER/ })
})

/** Runs the command in this process, because starting a process takes most of the time. */
async function inProcess(args: readonly string[]) {
  let [stdout, stderr] = ['', '']
  const output = {
    say(line: string) {
      stdout += `${line}\n`
    },
    note(line: string) {
      stderr += `${line}\n`
    },
  }
  return { code: await deadLetters(args, output), stdout, stderr }
}

/** Runs the command as a user does. */
async function command(args: readonly string[]) {
  const bin = join(import.meta.dirname, '..', '..', '..', 'tools', 'cli', 'bin.mjs')
  const child = spawn(bin, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await code, stdout, stderr }
}
