import { spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { guidOfFile } from '#shared/contracts/file-names.ts'
import type { RunEnded } from '#shared/contracts/messages/run.ts'
import { jobId, type Revision } from '#shared/contracts/names.ts'
import { newEvent } from '#shared/frame/events.ts'
import { CsvReader } from '#shared/jobs/csv.ts'
import { campaign } from '../../../tools/cli/commands/campaign/campaign.ts'
import { cancel } from '../../../tools/cli/commands/cancel.ts'
import { spent } from '../../../tools/cli/commands/costs/spent.ts'
import { release } from '../../../tools/cli/commands/releases/release.ts'
import { releases } from '../../../tools/cli/commands/releases/releases.ts'
import { status } from '../../../tools/cli/commands/status/status.ts'
import { submit } from '../../../tools/cli/commands/submit/submit.ts'
import { tracks } from '../../../tools/cli/commands/tracks.ts'
import { watch } from '../../../tools/cli/commands/watch/watch.ts'
import { uploadMaster } from '../../../tools/client/upload.ts'
import { startGcsServer } from '../../../tools/fakes/gcs-server.ts'
import { runningPort, takeDataFolder } from '../../../tools/local/data-folder.ts'
import type { Output } from '../../../tools/terminal/output.ts'
import { sha256, startApi, until } from '../../services/ingest/api.ts'
import { timeLimit } from '../../support/patience.ts'

const api = await startApi()
t.teardown(() => api.close())
const staged = api.received('stage')
const target = { url: api.url, token: undefined }
/** A timeout that is never reached unless something is wrong. */
const never = timeLimit(60_000)
const NASTY = 'a\x1b[2J\u202Eb'
const MIB = 1024 * 1024

/** A terminal that keeps its output. */
function terminal(screen?: Output['screen']) {
  const lines: string[] = []
  const notes: string[] = []
  const gone = new AbortController()
  const output: Output = {
    say: (line) => void lines.push(...line.split('\n')),
    note: (line) => void notes.push(line),
    gone: gone.signal,
    screen,
  }
  return { lines, notes, output, close: () => gone.abort() }
}

type Line = Readonly<Record<string, unknown>>
const parsedLines = (lines: readonly string[]): Line[] => lines.map((line) => JSON.parse(line))

/** Runs `submit`. */
async function submitted(
  args: readonly string[],
  { stdin = '', stop = never }: { stdin?: string; stop?: AbortSignal } = {},
) {
  const { lines, notes, output } = terminal()
  async function* chunks() {
    yield Buffer.from(stdin)
  }
  const code = await submit([...args, '--target', api.url], output, { stop, stdin: chunks() })
  return { code, lines, notes }
}

type Ended = Pick<RunEnded['request'], 'title' | 'artist'> & {
  request_id: string
  asset_guid: string
}

/** The rows that publish records when a job has ended: bpm made, key not. */
function ended(
  { request_id, asset_guid, ...names }: Ended,
  { isPartial = false, sure = 0.9 } = {},
): RunEnded {
  const failed = { state: 'failed', code: 'RENDER_FAILED', sentence: NASTY } as const
  const result = {
    bpm: 124,
    confidence: sure,
    bpmError: sure === 0.9 ? 0.01 : 0.1,
    windows: [],
  }
  return {
    request: { request_id, asset_guid, derivative_assets: ['bpm', 'key'], ...names },
    ...{ job: jobId(request_id, asset_guid), run: 1, route: 'cloud', restarts: 0 },
    accepted: new Date().toISOString(),
    master: {
      ...{ uri: 'file:///mnt/masters/a.wav', revision: 'x0123456789abcdef' as Revision },
      ...{ samples: 441_000, layout: 'WAV 16-bit 44100 Hz 2 channels' },
    },
    verdicts: {
      bpm: { state: 'made', version: 1, files: { json: 10 }, result },
      key: isPartial
        ? { ...failed, version: 1, step: 'analyze', attempt: 1 }
        : {
            state: 'made',
            version: 1,
            files: { json: 9 },
            result: { key: 'A minor', camelot: '8A', confidence: sure },
          },
    },
  }
}

t.test('CSV is read according to RFC 4180', async (t) => {
  const read = (...chunks: string[]) => {
    const reader = new CsvReader()
    return [...chunks.flatMap((chunk) => [...reader.push(chunk)]), ...reader.end()]
  }
  t.same(read('a,b\r\n', '"x ""y""', '",\n\n"two\nlines",', 'z'), [
    { line: 1, cells: ['a', 'b'], end: 5 },
    { line: 2, cells: ['x "y"', ''], end: 16 },
    { line: 4, cells: ['two\nlines', 'z'], end: 30 },
  ])
  t.throws(() => read('a\n"b'), /line 2: a quote is opened/)
})

t.test(
  'a campaign is created of a file, a question or what has failed, and steered',
  async (t) => {
    const run = async (...args: string[]) => {
      const { output, lines, notes } = terminal()
      const code = await campaign([...args, '--target', api.url, '--json'], output)
      return { code, notes, all: lines.length > 0 ? JSON.parse(lines.join('\n')) : undefined }
    }
    const folder = t.testdir({ 'list.csv': 'asset_guid\na\n' })
    const file = ['create', '--manifest', join(folder, 'list.csv'), '--assets', 'bpm,key']
    const posted = await run(...file, '--weight', '2', '--start')
    t.match(posted, { code: 0, all: { weight: 2, start: true, source: { uri: /\.csv$/ } } })
    const asked = await run(
      'create',
      '--stale',
      'bpm',
      '--filter',
      'bpm_from=120',
      '--rate',
      '60',
    )
    const { id } = asked.all
    t.match(asked.all.source, { kind: 'question', stale: ['bpm'], filter: { bpm_from: 120 } })
    t.match((await run('set', id, '--rate', 'none', '--name', 'x')).all, {
      rate: null,
      name: 'x',
    })
    t.match((await run('pause', id, '--reason', NASTY)).all, { paused: { sentence: NASTY } })
    const { output, lines } = terminal()
    t.equal(await campaign(['show', id, '--target', api.url], output), 0)
    t.match(lines.join(), /paused \(PAUSED\): a\\u001b/, 'nothing of it reaches the terminal')
    t.match(await run('watch', id), { code: 0, all: { state: 'paused' } })
    t.match((await run('retry-failed', id)).all, { source: { campaign: id }, start: true })
    t.match((await run('list', '--limit', '2')).all, {
      campaigns: [{ state: 'enumerating' }, { id }],
    })
    t.match(await run('start', id), { code: 1, notes: [/WRONG_STATE: .* is paused/] })
    t.match((await run('set', id, '--budget-usd', '3')).all, { budget: { usd: 3 } })
    const report = async () => {
      const { output, lines } = terminal()
      t.equal(await campaign(['report', id, '--target', api.url], output), 0)
      return lines.join('\n')
    }
    t.match(await report(), /spent +0 +0\.00\nbudget +3\.00\n\nThere is no forecast/)
    const each = { core_seconds: 36_000, from: 30_000, to: 40_000, sampled: 200, seconds: 200 }
    const text = `update campaign set state = 'done', items = 1, released = 1, forecast = $2 where id = $1`
    const kept = JSON.stringify({ sample: 'campaign-none', result: each })
    await api.database.query({ text }, [id, kept])
    await api.database.query({
      text: `insert into cost select '2026-03-01', 'default', '${id}', '', 'encode', 'aac-128',
        1, 1, 39600000, 0, 0, 0, 0, 0`,
    })
    t.match(
      await report(),
      /forecast +36,000 +0\.19\n +from +30,000 [\s\S]*spent +39,600 [\s\S]*wrong by 10\.0 % \(too low\), of 200 items/,
    )
    t.match(await run('forecast', id), {
      code: 0,
      all: { forecast: { result: { sampled: 200 } } },
    })
    for (const [args, words] of [
      [['create'], /takes one source/],
      [['create', '--stale', 'bpm', '--manifest', 'x.csv'], /takes one source/],
      [['create', '--filter', 'bpm'], /NAME=VALUE/],
      [['create', '--manifest', join(folder, 'none.csv')], /There is no file/],
      [['set', id], /takes --name/],
      [['set', id, '--weight', '0'], /over 0/],
      [['set', id, '--budget-core-seconds', 'some'], /--budget-core-seconds must be a number/],
      [['show', 'x'], /one id/],
      [['stop', id], /no command stop/],
    ] as const)
      await t.rejects(run(...args), { name: 'UsageError', message: words })
  },
)

t.test('files, folders and globs are uploaded and submitted as one request', async (t) => {
  const folder = t.testdir({})
  await mkdir(join(folder, 'album', 'disc 2'), { recursive: true })
  const audio = new Map<string, Buffer>()
  for (const name of ['one.wav', 'album/two.flac', 'album/disc 2/Três.wav']) {
    audio.set(name, randomBytes(10_000))
    await writeFile(join(folder, name), audio.get(name) as Buffer)
  }
  await writeFile(join(folder, 'album', 'cover.jpg'), 'none')
  const what = [join(folder, 'one.wav'), join(folder, 'album'), join(folder, '**', 'T*.wav')]
  const { code, lines } = await submitted([...what, '--assets', 'bpm', '--json'])
  t.equal(code, 0)
  const all = parsedLines(lines)
  const guid = (name: string) => guidOfFile(name, sha256(audio.get(name) as Buffer))
  t.same(all.map(({ asset_guid }) => asset_guid).sort(), [...audio.keys()].map(guid).sort())
  t.match(guid('album/disc 2/Três.wav'), /^Tres-[0-9a-f]{12}$/)
  t.equal(new Set(all.map(({ request_id }) => request_id)).size, 1)
  const request_id = all[0]?.request_id
  const mine = () => staged.all.filter(({ body }) => isOf(body, request_id))
  await until('the jobs', () => mine().length === 3)
  for (const { body } of mine()) {
    const { request } = body as { request: Record<string, string> }
    t.same(request.derivative_assets, ['bpm'])
    const [, name] = /^upload:(.+)$/.exec(request.master_uri as string) ?? []
    const stored = await readFile(join(api.uploads, `${name}.upload`))
    t.ok([...audio.values()].some((bytes) => bytes.equals(stored)))
  }
})

t.test(
  'a manifest may be CSV or NDJSON; its faults are reported with their lines',
  async (t) => {
    const folder = t.testdir({ 'in.wav': 'audio' })
    const master_uri = 'file:///mnt/masters/x.wav'
    const csv = [
      'asset_guid,master_uri,file,derivative_assets,title,release_id',
      `c-1,${master_uri},,bpm key,"Night, Bus",7`,
      `,${master_uri},,,,`,
      'c-3,,in.wav,,,',
      'c-4,,gone.wav,,,',
      'c-5',
      'c-6,,,nonsense,,',
      'c-7,,empty.wav,,,',
    ].join('\r\n')
    await writeFile(join(folder, 'empty.wav'), '')
    await writeFile(join(folder, 'list.csv'), `\ufeff${csv}`)
    const { code, lines, notes } = await submitted([
      join(folder, 'list.csv'),
      '--assets',
      'bpm',
    ])
    t.equal(code, 1)
    t.same(lines.filter((line) => line.startsWith('submitted')).sort(), [
      'submitted c-1',
      'submitted c-3',
      `submitted ${guidOfFile(master_uri, sha256(Buffer.from(master_uri)))}`,
    ])
    const refused = lines.filter((line) => line.startsWith('refused')).sort()
    t.match(refused[0], /list\.csv:5: UNREADABLE: .*gone\.wav/)
    t.match(refused[1], /list\.csv:6: UNREADABLE: 1 cells, and 6 in the header/)
    t.match(refused[2], /list\.csv:7: UNKNOWN_DERIVATIVE: .*nonsense/)
    t.match(
      refused[3],
      /list\.csv:8: MASTER_UNREADABLE: The file .*empty\.wav is empty \(0 bytes\); expected audio/,
    )
    t.match(
      notes.at(-1),
      /^3 submitted, 4 refused\.\nTo look on: npx trackchain watch [0-9a-f-]+$/,
    )
    const { body } = await until('the job', () =>
      staged.all.find((message) => isOf(message.body, undefined, 'c-1')),
    )
    t.match(body, {
      request: { title: 'Night, Bus', release_id: 7, derivative_assets: ['bpm', 'key'] },
    })

    const request_id = randomUUID()
    const ndjson = [
      JSON.stringify({ asset_guid: 'twice', master_uri }),
      JSON.stringify({ asset_guid: 'twice', master_uri, derivative_assets: ['key'] }),
      '',
      '[1]',
      '{"asset_guid":',
      JSON.stringify({ request_id, asset_guid: 'own', site: 'nowhere', master_uri }),
      JSON.stringify({ request_id, asset_guid: 'own', master_uri }),
    ].join('\n')
    const second = await submitted(['-', '--json', '--rate', '1000'], { stdin: ndjson })
    t.equal(second.code, 1)
    const all = parsedLines(second.lines)
    t.match(
      all.filter(({ event }) => event === 'refused').map(({ from, code }) => `${from} ${code}`),
      ['stdin:4 UNREADABLE', 'stdin:5 UNREADABLE', 'stdin:6 UNKNOWN_SITE'],
    )
    const taken = all.filter(({ event }) => event === 'submitted')
    t.equal(taken.length, 3)
    t.equal(taken.find(({ asset_guid }) => asset_guid === 'own')?.request_id, request_id)
    const twice = taken.filter(({ asset_guid }) => asset_guid === 'twice')
    t.equal(new Set(twice.map(({ request_id }) => request_id)).size, 2, 'a request each')
  },
)

t.test('a wrong command line is refused before anything is sent', async (t) => {
  const folder = t.testdir({
    a: { 'x.wav': '' },
    b: { 'x.flac': '' },
    'notes.txt': '',
    '._x.wav': '',
    'bad.csv': 'guid,file\n1,2\n',
  })
  const at = (name: string) => join(folder, name)
  const before = staged.all.length
  for (const [args, expected] of [
    [[], /takes files, folders/],
    [[at('none.wav')], /There is no file .*none\.wav/],
    [[at('*.ogg')], /\*\.ogg matches no audio file/],
    [[at('notes.txt')], /no audio by its name, and no manifest/],
    [[at('._x.wav')], /\._x\.wav was left by a system/],
    [[at('bad.csv')], /header has "guid": no such column\. There are asset_guid/],
    [[at('a'), at('b/x.flac'), '--guid', 'y'], /--guid names one track/],
    [[at('a'), '--guid', 'no name'], /--guid must match/],
    [[at('a'), '--assets', 'bpm,nonsense'], /--assets: there are .*bpm.*, got nonsense/],
    [[at('a'), '--rate', '0'], /--rate must be/],
    [[at('a'), '--lots'], /--lots/],
  ] as const) {
    await t.rejects(submitted(args), { name: 'UsageError', message: expected }, `${args}`)
  }
  const unanswered = submit([at('a'), '--target', 'http://127.0.0.1:9'], terminal().output, {
    stop: never,
  })
  await t.rejects(unanswered, /no response from http:\/\/127\.0\.0\.1:9/)
  t.equal(staged.all.length, before)
})

t.test('an upload resumes after the bytes that have arrived', async (t) => {
  const audio = randomBytes(33 * MIB)
  const path = join(t.testdir({}), 'long.wav')
  await writeFile(path, audio)
  const cut = await cutting(api.port, 20 * MIB)
  t.teardown(() => cut.close())
  const heard: number[] = []
  const through = { url: `http://127.0.0.1:${cut.port}`, token: undefined }
  const options = { sha256: sha256(audio), mayReplace: false, signal: never }
  const { master_uri: uri } = await uploadMaster(through, 'long', path, {
    ...options,
    onBytes: (done) => heard.push(done),
  })
  t.equal(uri, `upload:long/${sha256(audio)}`)
  t.ok(audio.equals(await readFile(join(api.uploads, 'long', `${sha256(audio)}.upload`))))
  t.ok(cut.bytes() < 35 * MIB, `${cut.bytes()} bytes were sent`)
  t.equal(heard[0], 0)
  t.equal(heard.at(-1), audio.length)
  const again: number[] = []
  await uploadMaster(target, 'long', path, { ...options, onBytes: (n) => again.push(n) })
  t.same(again, [audio.length], 'another process finds it whole')

  const gcs = await startGcsServer('masters')
  t.teardown(() => gcs.close())
  const cloud = await api.replica({ uploads: 'gs://masters/u', storage: gcs.endpoint })
  gcs.faults.push({ on: /upload_id/, times: 1, status: 503 })
  const inCloud = { url: cloud.url, token: undefined }
  const { master_uri: name } = await uploadMaster(inCloud, 'long', path, options)
  t.equal(name, `upload:long/${sha256(audio)}`)
  t.ok(
    gcs.buckets
      .get('masters')
      ?.get(`u/long/${sha256(audio)}.upload`)
      ?.bytes.equals(audio),
  )
  t.same(await uploadMaster(inCloud, 'long', path, options), { master_uri: name })
})

t.test('watch prints each change and ends with the last', async (t) => {
  const request_id = randomUUID()
  const both = ['w-1', 'w-2'].map((asset_guid) => ({ request_id, asset_guid }))
  const master_uri = 'file:///mnt/masters/x.wav'
  const stdin = both.map((job) => JSON.stringify({ ...job, master_uri })).join('\n')
  await submitted(['-', '--assets', 'bpm,key'], { stdin })
  const drawn: string[] = []
  const seats = [
    terminal(),
    terminal({ columns: 60, write: (text) => drawn.push(text) }),
    terminal(),
  ] as const
  const args = [request_id, '--target', api.url]
  const watching = [
    watch(args, seats[0].output, never),
    watch(args, seats[1].output, never),
    watch([...args, '--json'], seats[2].output, never),
  ]
  const hasLooked = ({ lines }: { lines: readonly string[] }) => lines.length === 2
  await until(
    'the first look of all',
    () => hasLooked(seats[0]) && drawn.length > 0 && hasLooked(seats[2]),
  )
  await recordRuns(api.database, [
    ended(both[0] as Ended),
    ended(both[1] as Ended, { isPartial: true }),
  ])
  t.same(await Promise.all(watching), [1, 1, 1])
  t.same(seats[0].lines.slice(0, 2), ['accepted  w-1', 'accepted  w-2'])
  const ends = [
    'done      w-1  124.00 BPM  8A  bpm,key',
    'partial   w-2  124.00 BPM  bpm',
    String.raw`    key: RENDER_FAILED: a\u001b[2J\u202eb`,
  ]
  t.same(seats[0].lines.slice(2), ends)
  t.same(seats[1].lines, ends, 'what has ended stays, the rest is drawn')
  t.match(drawn.join(''), /░{20} +0 % {2}0 of 2 ended/)
  t.notMatch(drawn.join(''), NASTY)
  t.match(parsedLines(seats[2].lines), [
    { event: 'state', request_id, asset_guid: 'w-1', state: 'accepted' },
    { event: 'state', asset_guid: 'w-2' },
    { event: 'ended', asset_guid: 'w-1', state: 'done', assets: [{ asset: 'bpm' }, {}] },
    { event: 'ended', asset_guid: 'w-2', state: 'partial' },
  ])
  await t.rejects(watch([], terminal().output, never), /takes request ids, or --all/)
  await t.rejects(watch(['x\ny'], terminal().output, never), /"x\\ny" is no request id/)
})

t.test('submit passes --strict on, and prints warnings', async (t) => {
  const path = join(t.testdir({}), 'warned.wav')
  await writeFile(path, 'audio of a master that breaks off')
  const asset_guid = guidOfFile(path, sha256(Buffer.from('audio of a master that breaks off')))
  const watched = submitted([path, '--strict', '--watch', '--assets', 'bpm,key'])
  const { body } = await until('the job', () =>
    staged.all.find((message) => isOf(message.body, undefined, asset_guid)),
  )
  const { request } = body as { request: { request_id: string } }
  t.match(request, { strict: true })
  const run = ended({ request_id: request.request_id, asset_guid })
  const warnings = [{ code: 'CUT_SHORT', sentence: 'the WAV is cut short' }]
  const master = run.master && { ...run.master, warnings }
  await recordRuns(api.database, [{ ...run, master }])
  const { code, lines, notes } = await watched
  t.equal(code, 0)
  t.equal(lines.at(-1), '    warning  CUT_SHORT: the WAV is cut short')
  t.same(notes, ['1 submitted, 1 done, 1 with warnings.'])
  const { output, lines: found } = terminal()
  t.equal(await tracks(['--warning', 'any', '--target', api.url], output), 0)
  t.match(found.at(-1), /^warned-[0-9a-f]{12} .*CUT_SHORT/)
})

t.test('submit --watch watches, and says how to go on when it is interrupted', async (t) => {
  const path = join(t.testdir({}), 'seen.wav')
  await writeFile(path, 'audio')
  const asset_guid = guidOfFile(path, sha256(Buffer.from('audio')))
  const watched = submitted([path, '--watch', '--json', '--assets', 'bpm,key'])
  const { body } = await until('the job', () =>
    staged.all.find((message) => isOf(message.body, undefined, asset_guid)),
  )
  const { request_id } = (body as { request: { request_id: string } }).request
  await recordRuns(api.database, [ended({ request_id, asset_guid })])
  const { code, lines } = await watched
  t.equal(code, 0)
  t.match(parsedLines(lines).at(-1), { event: 'ended', request_id, state: 'done' })

  const stop = new AbortController()
  const { output, lines: said, notes } = terminal()
  async function* stdin() {
    yield Buffer.from('{"asset_guid":"open","master_uri":"file:///mnt/masters/x.wav"}\n')
    await new Promise(() => {})
  }
  const open = submit(['-', '--target', api.url], output, {
    stop: stop.signal,
    stdin: stdin(),
  })
  await until('the first job, though more may come', () => said.includes('submitted open'))
  stop.abort(new Error('Ctrl-C'))
  await t.rejects(open, /Ctrl-C/)
  t.match(notes, [
    /^What was submitted goes on\. To look on: npx trackchain watch [0-9a-f-]{36}$/,
  ])
})

t.test('status shows a request, a track and its history', async (t) => {
  const request_id = randomUUID()
  const job = { request_id, asset_guid: 's-1', title: NASTY, artist: 'Ann' }
  await recordRuns(api.database, [ended(job, { isPartial: true })])
  const event = {
    ...newEvent('analyze', 1),
    track: 's-1',
    job: jobId(request_id, 's-1'),
    run: 1,
  }
  await recordEvents(api.database, [{ ...event, verdict: 'done', units: [], ms: 7 }])
  const run = async (...args: string[]) => {
    const { lines, notes, output } = terminal()
    const code = await status([...args, '--target', api.url], output)
    return { code, text: lines.join('\n'), notes }
  }
  const request = await run(request_id)
  t.equal(request.code, 1)
  t.match(
    request.text,
    new RegExp(`^request ${request_id}: partial.*, 1 track\n\ns-1  partial`),
  )
  t.match(request.text, /made +bpm@1\n +failed +key: RENDER_FAILED: a\\u001b.*\n +\S.*redrive/)
  const track = await run('s-1', '--history', '5')
  t.match(track.text, /^track +s-1 {2}Ann – a\\u001b/)
  t.match(track.text, /master +file:…\/a\.wav \(WAV 16-bit 44100 Hz 2 channels, 0:10\.0\)/)
  t.match(track.text, /at +step +verdict.*\n\S+ +analyze +done +1 +1 +7/)
  const json = JSON.parse((await run('s-1', '--json', '--history', '5')).text)
  t.match(json, { asset_guid: 's-1', events: [{ step: 'analyze' }] })
  const unread = { asset_guid: 'unread', master_uri: 'file:///mnt/masters/x.wav' }
  await submitted(['-', '--assets', 'bpm'], { stdin: JSON.stringify(unread) })
  const waiting = await run('unread')
  t.equal(waiting.code, 0)
  t.match(waiting.text, /^request .*: accepted.*\n\nunread {2}accepted.*\n {2}pending +bpm$/)
  t.match(await run('unheard-of'), { code: 1, notes: [/^NOT_FOUND/] })
  t.match(await run(randomUUID()), { code: 1, notes: [/^NOT_FOUND/] })
  await t.rejects(run(), /takes one request id or asset_guid/)
  await t.rejects(run('no\nguid'), /neither a request id nor an asset_guid/)
})

t.test('tracks are searched, page by page', async (t) => {
  const many = Array.from({ length: 1001 }, (_, n) =>
    ended({ request_id: randomUUID(), asset_guid: `many-${n}` }),
  )
  await recordRuns(api.database, many)
  const run = async (...args: string[]) => {
    const { lines, notes, output } = terminal()
    const code = await tracks([...args, '--target', api.url], output)
    return { code, lines, notes }
  }
  const all = await run('--q', 'many-', '--json', '--limit', '5000')
  t.equal(new Set(parsedLines(all.lines).map(({ asset_guid }) => asset_guid)).size, 1001)
  const some = await run('--q', 'many-', '--bpm', '120-124', '--key', '9A', '--harmonic')
  t.equal(some.lines.length, 51, 'a header and fifty')
  t.match(some.lines[0], /^track +title +state +length +BPM +key +Camelot/)
  t.match(some.lines[1], /^many-\d+ +done +0:10\.0 +124\.00 +A minor +8A/)
  t.match(some.notes, [/There are more/])
  t.same((await run('--q', 'many-', '--bpm', '125-')).lines, ['No such tracks.'])
  const guess = ended({ request_id: randomUUID(), asset_guid: 'guess' }, { sure: 0.14 })
  await recordRuns(api.database, [guess])
  const marked = await run('--q', 'guess', '--key', '8A')
  t.match(marked.lines[1], /^guess +done +0:10\.0 +124\.0\? +A minor +8A\? /)
  t.match(marked.notes, [/less likely than 50 %/])
  t.same((await run('--q', 'guess', '--key', '8A', '--harmonic')).lines, ['No such tracks.'])
  t.equal(
    (await run('--q', 'guess', '--key', '9A', '--harmonic', '--confidence', '0')).lines.length,
    2,
  )
  t.same((await run('--q', 'guess', '--confidence', '.15')).lines, ['No such tracks.'])
  t.equal((await run('--q', 'guess', '--confidence', '.14')).lines.length, 2)
  await t.rejects(run('--confidence', 'sure'), /--confidence must be a number from 0 to 1/)
  t.match(await run('--key', 'H minor'), { code: 1, notes: [/^BAD_REQUEST/] })
  await t.rejects(run('--bpm', 'fast'), /--bpm must be a range such as 120-128/)
  await t.rejects(run('--harmonic'), /--harmonic needs a --key/)

  // As a person runs it, into a reader that exits early.
  const bin = fileURLToPath(new URL('../../../tools/cli/bin.mjs', import.meta.url))
  const command = `set -o pipefail; ${bin} tracks --json --limit 5000 | head -n 1`
  const child = spawn('bash', ['-c', command], {
    env: { ...process.env, TRACKCHAIN_TARGET: api.url },
  })
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)]
  const [code] = await once(child, 'close')
  t.equal(code, 0, await stderr)
  t.match(JSON.parse(await stdout), { asset_guid: /./ })
  t.equal(await stderr, '')
})

t.test('watch --all prints every track until it is interrupted', async (t) => {
  const [one, two] = [terminal(), terminal()]
  const stop = new AbortController()
  const all = watch(['--all', '--target', api.url], one.output, stop.signal)
  const json = watch(['--all', '--json', '--target', api.url], two.output, never)
  await until('the board', () => two.lines.length > 0)
  t.match(parsedLines(two.lines)[0], { event: 'board', tracks: { running: Number } })
  await recordRuns(api.database, [
    ended({ request_id: randomUUID(), asset_guid: 'live' }, { isPartial: true }),
  ])
  await until('the track', () => one.lines.some((line) => /^partial .* live/.test(line)))
  t.match(one.lines.at(-1), /^partial {3}live {2}124\.00 BPM {2}bpm {2}failed: key$/)
  await until('the same', () =>
    parsedLines(two.lines).some(({ asset_guid }) => asset_guid === 'live'),
  )
  stop.abort(new Error('Ctrl-C'))
  await t.rejects(all, /Ctrl-C/)
  two.close()
  t.equal(await json, 0, 'the reader has gone')
})

t.test('releases are listed, shown and cancelled', async (t) => {
  const release_id = 4711
  const jobs = ['r-1', 'r-2', 'r-3'].map((asset_guid) => ({
    ...{ request_id: randomUUID(), asset_guid, derivative_assets: ['bpm', 'key'] },
  }))
  const runs = jobs.map((job) => {
    const run = ended({ ...job, title: `of ${NASTY}` }, { isPartial: job.asset_guid === 'r-2' })
    return { ...run, request: { ...run.request, release_id } }
  })
  const run = async (command: typeof release, ...args: string[]) => {
    const { lines, notes, output } = terminal()
    const code = await command([...args, '--target', api.url], output)
    return { code, lines, text: lines.join('\n'), notes }
  }
  t.match(await run(release, '4711'), {
    code: 1,
    notes: [/^NOT_FOUND: There is no release 47/],
  })
  await acceptJobs(api.database, runs)
  t.match(await run(release, '4711'), { code: 0, text: /^release 4711: running\n3 tracks/ })
  await recordRuns(api.database, runs.slice(0, 2))
  const shown = await run(release, '4711')
  t.equal(shown.code, 1, 'something is partial')
  t.match(shown.text, /^release 4711: running\n3 tracks: 1 done, 1 partial, 1 running\n/)
  t.match(shown.text, /^r-1 .*of a\\u001b.* done +[0-9a-f-]{36}$/m)
  t.match(await run(releases), {
    code: 0,
    text: /release.*\n.*4711 {2}running +3 +1 +1 +0 +0 +1 /,
  })
  const [line] = parsedLines((await run(releases, '--json', '--state', 'running')).lines)
  t.match(line, { release_id, counts: { partial: 1 } })
  t.match(await run(releases, '--state', 'cancelled'), { text: 'No such releases.' })
  t.match(await run(releases, '--state', 'no'), { code: 1, notes: [/^BAD_REQUEST/] })
  const short = await run(release, '4711', '--limit', '2')
  t.match(short.notes, [/There are more tracks/])
  const whole = await run(release, '4711', '--json')
  t.match(JSON.parse(whole.text), { release_id, tracks: [{}, {}, {}], next: null })

  const cancelled = await run(cancel, '--release', '4711', '--reason', 'a test')
  t.match(cancelled, { code: 0, text: 'cancelled  release 4711  1 job' })
  t.match(await run(cancel, '--release', '4711', '--json'), { code: 0, text: /"ended": 0/ })
  t.match(await run(release, '4711'), { text: /^release 4711: partial\n3 .*1 cancelled\n/ })
  t.match(await run(cancel, '--release=-1'), { code: 1, notes: [/^NOT_FOUND/] })
  await t.rejects(run(cancel, '--release', 'x'), /A release is a whole number/)
  await t.rejects(run(cancel, 'a request', '--release', '1'), /takes one request id/)
  await t.rejects(run(cancel, '--release', '1', '--track', 'a'), /takes one request id/)
  await t.rejects(run(release), /takes the number of one release/)
  await t.rejects(run(release, '1e3'), /A release is a whole number/)
})

t.test('cancel stops a request or one track of it, and status shows that', async (t) => {
  const request_id = randomUUID()
  const jobs = ['c-1', 'c-2'].map((asset_guid) => ({
    ...{ request_id, asset_guid, derivative_assets: ['bpm'] },
    master_uri: 'file:///mnt/masters/x.wav',
  }))
  await submitted(['-'], { stdin: jobs.map((job) => JSON.stringify(job)).join('\n') })
  const run = async (command: typeof cancel | typeof status, ...args: string[]) => {
    const { lines, notes, output } = terminal()
    const code = await command([...args, '--target', api.url], output)
    return { code, text: lines.join('\n'), notes }
  }
  const both = await until('both rows', async () => {
    const found = await run(status, request_id)
    return found.text.includes('c-1') && found.text.includes('c-2') ? found : undefined
  })
  t.match(both.text, /accepted/)
  const one = await run(cancel, request_id, '--track', 'c-2', '--reason', 'a test')
  t.match(one, { code: 0, text: `cancelled  c-2 of ${request_id}  1 job` })
  t.match(await run(status, request_id), {
    ...{ code: 0, text: /^request .*: running.*\n\nc-1 {2}accepted/ },
  })
  t.match(await run(cancel, request_id, '--json'), { code: 0, text: /"ended": 1/ })
  const shown = await run(status, request_id)
  t.match(
    shown.text,
    /^request .*: cancelled, 100 %.*\n\nc-1 {2}cancelled.*\n {2}not made +bpm/,
  )
  t.match(await run(cancel, request_id), { code: 0, text: /by a user of this machine at/ })
  t.match(await run(cancel, randomUUID()), { code: 1, notes: [/^NOT_FOUND/] })
  await t.rejects(run(cancel), /takes one request id/)
  await t.rejects(run(cancel, request_id, '--track', '../x'), /--track must be an asset_guid/)
})

t.test('costs --by prints what was spent, and refuses other words', async (t) => {
  const at = '2026-03-04T10:00:00.000Z'
  const step = { ...newEvent('analyze', 1), at, verdict: 'done', units: ['bpm@3 0-9'] }
  await recordEvents(api.database, [{ ...step, ms: 9000, cpu_ms: 7_200_000 }])
  const run = async (...args: string[]) => {
    const { lines, notes, output } = terminal()
    const code = await spent([...args, '--target', api.url], output)
    return { code, text: lines.join('\n'), notes }
  }
  const days = ['--from', '2026-03-04', '--to', '2026-03-04']
  const { text } = await run('--by', 'asset', ...days)
  t.match(text, /^2026-03-04 to 2026-03-04, UTC\n\nasset +steps +core-seconds +USD/)
  t.match(text, /\nbpm +1 +7,200 +0\.04 /)
  t.match(JSON.parse((await run('--by', 'tenant', '--json', ...days)).text), {
    by: 'tenant',
    costs: [{ name: 'default', core_seconds: 7200 }],
  })
  await t.rejects(run('--by', 'nobody'), /--by: there are tenant, asset, campaign, route/)
  await t.rejects(run('--by', 'tenant', '--from', 'May'), /--from must be a day/)
  t.match(await run('--by', 'tenant', '--from', '2027-01-01', '--to', '2026-01-01'), {
    ...{ code: 1, notes: [/^BAD_REQUEST/] },
  })
})

t.test('the help of each command has examples', async (t) => {
  for (const [name, command] of Object.entries({
    ...{ submit, watch, status, cancel, tracks, release, releases },
  })) {
    const { lines, output } = terminal()
    t.equal(await command(['--help'], output, never as never), 0)
    t.match(
      lines.join('\n'),
      new RegExp(`^npx trackchain ${name}.*\n[^]*\n  npx trackchain ${name} `),
    )
    t.notOk(
      lines.some((line) => line.length > 110),
      name,
    )
  }
})

t.test('the chain of a folder is found while it runs', async (t) => {
  const folder = await takeDataFolder(t.testdir({}))
  t.equal(runningPort(folder.path), undefined)
  folder.announce(8099)
  t.equal(runningPort(folder.path), 8099)
  folder.release()
  const owner = JSON.stringify({ pid: 2 ** 30, port: 8099 })
  await writeFile(join(folder.path, 'owner.json'), owner)
  t.equal(runningPort(folder.path), undefined)
})

function isOf(body: unknown, requestId: unknown, guid?: string): boolean {
  const { request } = body as { request: Record<string, unknown> }
  return guid === undefined ? request.request_id === requestId : request.asset_guid === guid
}

/** A proxy of the API whose connection breaks once, after `after` bytes of the client. */
async function cutting(port: number, after: number) {
  let bytes = 0
  let isCut = false
  const open = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    for (const socket of [client, upstream]) socket.on('error', () => {})
    for (const socket of [client, upstream]) open.add(socket)
    upstream.on('close', () => client.destroy())
    client.on('data', (chunk) => {
      bytes += chunk.length
      if (isCut || bytes < after) return
      isCut = true
      // The bytes so far arrive; the client gets no response.
      upstream.end()
      client.resetAndDestroy()
    })
    client.pipe(upstream).pipe(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    server.close()
    for (const socket of open) socket.destroy()
  }
  const { port: own } = server.address() as { port: number }
  return { port: own, bytes: () => bytes, close }
}
