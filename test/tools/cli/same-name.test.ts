import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { guidOfFile } from '#shared/contracts/file-names.ts'
import { submit } from '../../../tools/cli/commands/submit/submit.ts'
import { type AnyBody, bodyOf, sha256, startApi, until } from '../../services/ingest/api.ts'
import { timeLimit } from '../../support/patience.ts'

const api = await startApi()
t.teardown(() => api.close())
const staged = api.received('stage')
const folder = t.testdir({})
const never = timeLimit(120_000)

async function file(path: string, content: string): Promise<string> {
  const whole = join(folder, path)
  await mkdir(join(whole, '..'), { recursive: true })
  await writeFile(whole, content)
  return whole
}

type Line = Readonly<Record<string, string>>

/** Runs `submit`. @returns its output, as parsed lines with `--json`. */
async function submitted(...args: readonly string[]) {
  const lines: string[] = []
  const notes: string[] = []
  async function* nothing() {}
  const code = await submit(
    [...args, '--target', api.url],
    {
      say: (line) => void lines.push(...line.split('\n')),
      note: (line) => void notes.push(line),
      gone: new AbortController().signal,
      screen: undefined,
    },
    { stop: never, stdin: nothing() },
  )
  const json = () => lines.map((line) => JSON.parse(line) as Line)
  return { code, lines, notes, json }
}

/** Submits a file by curl, as a person would type it. */
async function curl(
  ...args: readonly string[]
): Promise<AnyBody & { readonly replaces?: string }> {
  const { stdout } = await promisify(execFile)('curl', ['-sS', ...args, `${api.url}/v1/jobs`])
  return JSON.parse(stdout)
}

const requestOf = (guid: string) =>
  until('the job', () => {
    const found = staged.all.find(({ body }) => (body.request as Line).asset_guid === guid)
    return found?.body.request as Line | undefined
  })

t.test(
  'two files of one name are two tracks; one file is one track, however it is submitted',
  async (t) => {
    const a = await file('albumA/01 Intro.wav', 'one')
    const b = await file('albumB/01 Intro.wav', 'other')
    const [first] = (await submitted(a, '--json')).json()
    const [second] = (await submitted(b, '--json')).json()
    t.equal(first?.asset_guid, guidOfFile(a, sha256(Buffer.from('one'))))
    t.not(second?.asset_guid, first?.asset_guid)
    t.match(second?.asset_guid, /^01-Intro-[0-9a-f]{12}$/)
    const form = await curl('-F', `file=@${a}`)
    t.equal(form.asset_guid, first?.asset_guid, 'by a form')
    const page = new FormData()
    page.set('file', new Blob(['one']), '01 Intro.wav')
    const response = await fetch(`${api.url}/v1/jobs`, { method: 'POST', body: page })
    t.equal((await bodyOf(response)).asset_guid, first?.asset_guid, 'as the page sends it')
    t.match(await requestOf(form.asset_guid), { file_name: '01 Intro.wav' })
  },
)

t.test(
  'names of every script, composed or not, are the same by form and command',
  async (t) => {
    for (const name of [
      'Björk & Łódź.wav',
      'שלום.wav',
      '夜に駆ける.wav',
      'a"b;c.wav',
      'x%22y.wav',
    ]) {
      const path = await file(`odd/${name}`, name)
      const apart = await file(`apart/${name.normalize('NFD')}`, name)
      const by = [path, apart].map(async (each) => (await submitted(each, '--json')).json()[0])
      const guids = (await Promise.all(by)).map((line) => line?.asset_guid)
      const page = new FormData()
      page.set('file', new Blob([name]), name)
      const form = await bodyOf(fetch(`${api.url}/v1/jobs`, { method: 'POST', body: page }))
      t.same(new Set([...guids, form.asset_guid]).size, 1, name)
      t.notMatch(form.asset_guid, /^track-|[^A-Za-z0-9-]/)
    }
  },
)

t.test('files that a system left beside the audio are skipped and counted', async (t) => {
  await file('mac/x.wav', 'x')
  for (const name of ['._x.wav', '.DS_Store', 'Thumbs.db', 'desktop.ini'])
    await file(`mac/${name}`, '')
  const { code, lines, notes } = await submitted(join(folder, 'mac'))
  t.equal(code, 0)
  t.match(notes[0], /^Skipped 4 files that macOS or Windows left there, such as \./)
  t.equal(lines.length, 1)
  const asJson = await submitted(join(folder, 'mac'), '--json')
  t.same(asJson.json().filter(({ event }) => event === 'skipped').length, 4)
  const glob = await submitted(
    join(folder, 'mac', '**', '*.wav'),
    join(folder, 'mac', '._x.wav'),
  )
  t.equal(glob.code, 0)
  t.match(glob.notes[0], /^Skipped a file/)
})

t.test(
  'a track of other content is refused at the terminal, unless it may be replaced',
  async (t) => {
    const [one, other] = [await file('r/one.wav', 'one'), await file('r/other.wav', 'other')]
    const guid = ['--guid', 'mine']
    t.equal((await submitted(one, ...guid)).code, 0)
    t.equal((await submitted(one, ...guid)).code, 0, 'the same again does no harm')
    const refused = await submitted(other, ...guid)
    t.equal(refused.code, 1)
    t.match(
      refused.lines[0],
      /^refused .*other\.wav: OTHER_CONTENT: The track mine has other content/,
    )
    const history = async () => {
      const response = await fetch(`${api.url}/v1/tracks/mine/history`)
      const { events = [] } = (await response.json()) as { events?: Line[] }
      return events.filter(({ verdict }) => verdict === 'replaced')
    }
    const replaced = await submitted(other, ...guid, '--replace')
    t.equal(replaced.code, 0)
    t.equal(
      replaced.lines[0],
      `submitted mine: replaces other content, sha256 ${sha256(Buffer.from('one')).slice(0, 12)}…`,
    )
    const put = await fetch(`${api.url}/v1/masters/mine`, { method: 'PUT', body: 'third' })
    t.match(await put.json(), { replaces: sha256(Buffer.from('other')) })
    const again = await fetch(`${api.url}/v1/masters/mine`, { method: 'PUT', body: 'third' })
    t.notOk('replaces' in ((await again.json()) as object), 'what it had, it has')
    const form = await curl('-F', `file=@${one}`, '-F', 'asset_guid=mine')
    t.equal(form.replaces, sha256(Buffer.from('third')))
    const back = await fetch(`${api.url}/v1/masters/mine`, { method: 'PUT', body: 'third' })
    t.match(
      await back.json(),
      { replaces: sha256(Buffer.from('one')) },
      'the form had made it the latest',
    )
    const { database } = api
    const received = api.received('events')
    t.teardown(() => received.close())
    await until(
      'the events',
      () =>
        received.all.flatMap(({ body }) =>
          (body.events as Line[]).filter(({ verdict }) => verdict === 'replaced'),
        ).length >= 4 || undefined,
    )
    const events = received.all.flatMap(({ body }) => body.events as never[])
    await recordEvents(database, events)
    const said = await history()
    t.equal(said.length, 4, 'each replacement is in the history, and no refusal')
    t.match(said[0], {
      step: 'ingest',
      code: 'OTHER_CONTENT',
      sentence: /sha256 [0-9a-f]{64}, replaces other content/,
    })
  },
)

t.test('of two files of one command for one track the second is refused', async (t) => {
  await file('m/a.wav', 'a')
  await file('m/b.wav', 'b')
  const list = await file('m/list.csv', 'asset_guid,file\ntwin,a.wav\ntwin,b.wav\n')
  const { code, lines } = await submitted(list)
  t.equal(code, 1)
  t.match(lines.sort(), [/^refused .*OTHER_CONTENT/, 'submitted twin'])
  const both = await submitted(list, '--replace')
  t.equal(both.code, 0)
})

t.test('an asset_id names the track of a file, too', async (t) => {
  const list = await file('n/list.ndjson', '{"asset_id":77,"file":"a.wav"}\n')
  await file('n/a.wav', 'a')
  t.same((await submitted(list)).lines, ['submitted id-77'])
  const [request] = [await requestOf('id-77')]
  t.match(request, { asset_id: 77, master_uri: /^upload:id-77\/[0-9a-f]{64}$/ })
})

t.test(
  'a manifest that is not UTF-8 is refused line by line, and never guessed at',
  async (t) => {
    const path = join(folder, 'latin1.csv')
    const csv =
      'asset_guid,title,master_uri\nl-1,Bj\xf6rk,file:///mnt/masters/x.wav\nl-2,ok,file:///mnt/masters/x.wav\n'
    await writeFile(path, csv, 'latin1')
    const { code, lines } = await submitted(path)
    t.equal(code, 1)
    t.match(lines.sort(), [/^refused .*latin1\.csv:2: UNREADABLE: not UTF-8/, 'submitted l-2'])
    const ndjson = join(folder, 'latin1.ndjson')
    await writeFile(
      ndjson,
      '{"asset_guid":"l-3","title":"\xff","master_uri":"file:///mnt/masters/x.wav"}\n',
      'latin1',
    )
    t.match((await submitted(ndjson)).lines, [/not UTF-8/])
  },
)
