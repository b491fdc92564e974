import { execFile } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { guidOfFile } from '#shared/contracts/file-names.ts'
import { aJob, sha256, startApi, until } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())
const jobs = `${api.url}/v1/jobs`
const stage = api.received('stage')
const audio = Buffer.from('RIFF not really, but some bytes of audio')
const track = join(api.folder, 'Träck Nº 1 (Mix).wav')
await writeFile(track, audio)

/** Runs curl as a user would. */
async function curl(...args: readonly string[]) {
  const { stdout } = await promisify(execFile)('curl', ['-sS', ...args, jobs])
  return JSON.parse(stdout)
}

t.test('curl -F file and job uploads the master and accepts the job', async (t) => {
  const answer = await curl('-F', `file=@${track}`, '-F', 'job={"derivative_assets":["bpm"]}')
  t.match(answer.asset_guid, /^Track-No-1-Mix-[0-9a-f]{12}$/)
  t.match(answer, { status: 202, derivative_assets: ['bpm'] })
  t.equal(answer.asset_guid, guidOfFile(track, sha256(audio)))
  const { body } = await until('the message', () =>
    stage.all.find(({ body }) => body.job === answer.job),
  )
  const [master] = body.masters as string[]
  t.same(await readFile(fileURLToPath(master as string)), audio)
  t.match(master, new RegExp(`/uploads/${answer.asset_guid}/${sha256(audio)}\\.upload$`))
})

t.test('the job may come first, and names the track', async (t) => {
  const job = JSON.stringify({ asset_guid: 'mine', derivative_assets: ['key'] })
  const answer = await curl('-F', `job=${job};type=application/json`, '-F', `file=@${track}`)
  t.match(answer, { status: 202, asset_guid: 'mine', derivative_assets: ['key'] })
})

t.test('the file alone will do; its track is the same every time', async (t) => {
  const first = await curl('-F', `file=@${track}`)
  const second = await curl('-F', `file=@${track}`)
  t.equal(first.status, 202)
  t.equal(first.asset_guid, second.asset_guid)
  t.not(first.request_id, second.request_id)
})

t.test('strict is a field of its own, true or false', async (t) => {
  const answer = await curl('-F', 'asset_guid=strict', '-F', 'strict=true')
  const { body } = await until('the message', () =>
    stage.all.find(({ body }) => body.job === answer.job),
  )
  t.match(body.request, { strict: true })
  const odd = await curl('-F', 'asset_guid=strict', '-F', 'strict=perhaps')
  t.match(odd, { status: 422, code: 'NOT_AN_ENCODE_JOB', at: '/strict' })
})

t.test('the fields of the job may stand alone', async (t) => {
  const fields = [
    '-F',
    'derivative_assets=bpm, key',
    '-F',
    'asset_id=12',
    '-F',
    'asset_guid=plain',
    ...['-F', 'title=Nr. 1', '-F', 'artist=Wir, & Ihr'],
  ]
  const answer = await curl('-F', `file=@${track}`, ...fields)
  t.match(answer, { status: 202, asset_guid: 'plain', derivative_assets: ['bpm', 'key'] })
  const { body } = await until('the message', () =>
    stage.all.find(({ body }) => body.job === answer.job),
  )
  t.match(body.request, { asset_id: 12, title: 'Nr. 1', artist: 'Wir, & Ihr' })
})

t.test('the assets may be a list of JSON, as in the job', async (t) => {
  const answer = await curl('-F', 'asset_guid=listed', '-F', 'derivative_assets=["bpm", "key"]')
  t.match(answer, { status: 202, derivative_assets: ['bpm', 'key'] })
  const odd = await curl('-F', 'asset_guid=listed', '-F', "derivative_assets=['bpm']")
  t.match(odd, { status: 400, code: 'NOT_JSON', detail: /^The part derivative_assets: / })
  const wrong = await curl('-F', 'asset_guid=listed', '-F', 'derivative_assets=[1]')
  t.match(wrong, { status: 422, code: 'NOT_AN_ENCODE_JOB', at: '/derivative_assets/0' })
})

t.test('the job may be a file, and may come without a master', async (t) => {
  const path = join(api.folder, 'job.json')
  await writeFile(path, JSON.stringify(aJob({ asset_guid: 'by-template' })))
  t.match(await curl('-F', `job=@${path}`), { status: 202, asset_guid: 'by-template' })
})

t.test('a job that is refused leaves no file behind', async (t) => {
  const answer = await curl(
    ...['-F', `file=@${track}`, '-F', 'asset_guid=refused', '-F', 'derivative_assets=mood'],
  )
  t.match(answer, { status: 422, code: 'UNKNOWN_DERIVATIVE' })
  const names = await readdir(api.uploads)
  t.notOk(names.some((name) => name === 'refused' || name.startsWith('.~')))
})

t.test('what a page leaves empty is as if it were not there', async (t) => {
  const part = (name: string, more = '') =>
    `--b\r\ncontent-disposition: form-data; name="${name}"${more}\r\n\r\n`
  const file = part('file', '; filename=""')
  const body = `${file}\r\n${part('job')}\r\n${part('site')}\r\n${part('asset_guid')}left\r\n--b--\r\n`
  const headers = { 'content-type': 'multipart/form-data; boundary=b' }
  const response = await fetch(jobs, { method: 'POST', headers, body })
  t.match(await response.json(), { status: 202, asset_guid: 'left' })
})

const refused: Record<string, [args: readonly string[], expected: object]> = {
  'two masters': [
    ['-F', `file=@${track}`, '-F', `file=@${track}`],
    { status: 400, code: 'BAD_REQUEST', detail: /second file/ },
  ],
  'a master in another field': [
    ['-F', `audio=@${track}`],
    { status: 400, code: 'BAD_REQUEST', detail: /"audio"; expected file/ },
  ],
  'a master and a master_uri': [
    ['-F', `file=@${track}`, '-F', 'master_uri=file:///mnt/masters/a.wav'],
    { status: 400, code: 'BAD_REQUEST', detail: /both a file and a master_uri/ },
  ],
  'a field twice': [
    ['-F', 'asset_guid=a', '-F', 'asset_guid=b'],
    { status: 400, code: 'BAD_REQUEST', detail: /asset_guid is given twice/ },
  ],
  'a path for an asset_guid': [
    ['-F', `file=@${track}`, '-F', 'asset_guid=../../etc'],
    { status: 422, code: 'NOT_AN_ENCODE_JOB', at: '/asset_guid' },
  ],
  'a number that is none': [
    ['-F', `file=@${track}`, '-F', 'asset_id=twelve'],
    { status: 422, code: 'NOT_AN_ENCODE_JOB', detail: /integer, got "twelve"/ },
  ],
}
for (const [what, [args, expected]] of Object.entries(refused)) {
  t.test(`${what} in a form is refused`, async (t) => {
    t.match(await curl(...args), expected)
    t.notOk((await readdir(api.uploads)).some((name) => name.startsWith('.~')))
  })
}

t.test('a master beyond the limit is refused while it comes', async (t) => {
  const small = await api.replica({ max_upload_mib: 1 })
  const body = new FormData()
  body.set('file', new Blob([Buffer.alloc(3 * 1024 * 1024)]), 'big.wav')
  const response = await fetch(`${small.url}/v1/jobs`, { method: 'POST', body })
  t.equal(response.status, 413)
  t.match(await response.json(), { code: 'TOO_LARGE', detail: /1 MiB/ })
  t.notOk((await readdir(api.uploads)).some((name) => name.startsWith('.~')))
})

t.test('text in a form that is not UTF-8 is refused, wherever it stands', async (t) => {
  const part = (head: string, content: string) =>
    `--b\r\ncontent-disposition: form-data; ${head}\r\n\r\n${content}\r\n`
  const sound = part('name="asset_guid"', 'a')
  const forms = {
    'a field': part('name="title"', 'Bj\xf6rk'),
    'half of a surrogate pair': part('name="title"', '\xed\xa0\x80'),
    'the job': part('name="job"', '{"title":"Bj\xf6rk"}'),
    'a declared job': part('name="job"\r\ncontent-type: application/json', '"\xff"'),
    'an escape in the job': part('name="job"', '{"title":"\\ud800"}'),
    'a file name': part('name="file"; filename="Bj\xf6rk.wav"', 'RIFF'),
  }
  for (const [what, form] of Object.entries(forms)) {
    const response = await fetch(jobs, {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=b' },
      body: Buffer.from(`${sound}${form}--b--\r\n`, 'latin1'),
    })
    t.equal(response.status, 400, what)
    t.match(await response.json(), { code: /BAD_REQUEST|NOT_JSON/, detail: /./ }, what)
  }
})
