import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { parseBuffer } from 'music-metadata'
import t from 'tap'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import type { RunEnded } from '#shared/contracts/messages/run.ts'
import { assetName, jobId, type Revision } from '#shared/contracts/names.ts'
import { m4aHead } from '../../../services/encode/aac/m4a.ts'
import { encodeTools } from '../../../services/encode/tools.ts'
import { type ServedFile, tagged } from '../../../services/ingest/tracks/tags/tag-file.ts'
import { ffmpeg, inMemory, int16 } from '../../support/audio.ts'
import { timeLimit } from '../../support/patience.ts'
import { club, RATE } from '../../support/synth.ts'
import { bodyOf, startApi } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())

const SAMPLES = 4 * RATE + 77
const pcm = int16(club(SAMPLES))
const source = inMemory(pcm)
const tools = encodeTools(source, timeLimit(100_000))
const FILES = {
  'aac-128': { extension: 'm4a', body: await buffer(await tools.m4a(source, 128_000)) },
  'mp3-320': { extension: 'mp3', body: Buffer.from(await tools.mp3(source, 320_000)) },
  flac: { extension: 'flac', body: Buffer.from(await tools.flac(source)) },
} as const
const RESULTS = {
  bpm: { bpm: 127.98, confidence: 0.9 },
  key: { key: 'F# minor', tonic: 'F#', scale: 'minor', camelot: '11A', confidence: 0.8 },
  loudness: { integrated: -8.26, range: 5, truePeak: 0.42, samplePeak: -0.1 },
}
const TITLE = 'Ночь & Nacht — 夜 🌙'
const ARTIST = 'Björk'
let day = 0

/** Records a run that made all the files and these results, a day after the one before. */
async function made(
  guid: string,
  { results = RESULTS, ...names }: { results?: object; title?: string; artist?: string } = {},
): Promise<void> {
  const request_id = randomUUID()
  const files = Object.entries(FILES).map(([id, { extension, body }]) => [
    id,
    { state: 'made', version: 1, files: { [extension]: body.length } },
  ])
  const documents = Object.entries(results).map(([id, result]) => [
    id,
    { state: 'made', version: 1, files: { json: 1 }, result },
  ])
  const verdicts = Object.fromEntries([...files, ...documents])
  await recordRuns(api.database, [
    {
      request: {
        ...{ request_id, asset_guid: guid, derivative_assets: Object.keys(verdicts) },
        ...names,
      },
      ...{ job: jobId(request_id, guid), run: 1, route: 'cloud', restarts: 0 },
      accepted: new Date(Date.UTC(2026, 2, ++day)).toISOString(),
      master: {
        uri: 'file:///mnt/masters/a.wav',
        revision: 'x1',
        samples: SAMPLES,
        layout: 'WAV',
      },
      verdicts,
    } as RunEnded,
  ])
  for (const [id, { extension, body }] of Object.entries(FILES)) {
    const name = assetName(guid, 'x1' as Revision, { id, version: 1 }, extension)
    await api.assets.create(name, body, { contentType: 'audio/x' })
  }
}

const get = (guid: string, asset: string, init?: RequestInit) =>
  fetch(`${api.url}/v1/tracks/${guid}/assets/${asset}`, init)
const bytesOf = async (response: Response | Promise<Response>) =>
  Buffer.from(await (await response).arrayBuffer())

await made('a', { title: TITLE, artist: ARTIST })

for (const [asset, { extension, body }] of Object.entries(FILES)) {
  t.test(`the tags of ${asset} are read by a reader that is not ours`, async (t) => {
    const file = await bytesOf(get('a', `${asset}?tags=1`))
    const { common, native, format } = await parseBuffer(file, undefined, { duration: true })
    t.equal(common.title, TITLE)
    t.equal(common.artist, ARTIST)
    // This reader cuts off decimals, which only the comment of a FLAC has.
    t.equal(common.bpm, extension === 'flac' ? 127 : 128)
    t.equal(common.replaygain_track_gain?.dB, -9.74)
    t.ok(Math.abs((common.replaygain_track_peak?.ratio ?? 0) - 1.049542) < 1e-6)
    const all = Object.values(native).flat()
    const named = (name: RegExp) => all.find(({ id }) => name.test(id))?.value
    t.match(named(/(^|:)(initialkey|TKEY)$/i), 'F#m')
    t.match(String(named(/(:BPM|^BPM)$/)), /^127\.98$/, 'the exact tempo')
    t.match(named(/asset_guid$/i), 'a')
    // For an MP3 it counts whole frames.
    t.ok(Math.abs((format.duration ?? 0) - SAMPLES / RATE) < 0.06)
    t.notOk(file.equals(body))
  })

  t.test(`the audio of ${asset} is what it was`, async (t) => {
    const file = await bytesOf(get('a', `${asset}?tags=1`))
    const folder = t.testdir()
    const heard: string[] = []
    for (const [index, each] of [body, file].entries()) {
      const path = join(folder, `${index}.${extension}`)
      await writeFile(path, each)
      heard.push((await ffmpeg(['-xerror', '-i', path, '-f', 'md5', 'pipe:1'])).toString())
      const { stdout, stderr } = await promisify(execFile)('ffprobe', [
        ...['-v', 'warning', '-of', 'json', '-show_format', '-show_streams', path],
      ])
      t.equal(stderr, '', 'ffprobe warns of nothing')
      const { format, streams } = JSON.parse(stdout)
      const tags = { ...format.tags, ...streams[0].tags }
      if (index === 1) t.equal(tags.title ?? tags.TITLE, TITLE, 'ffprobe reads the title')
      heard.push(streams[0].duration, streams[0].start_time)
      if (extension === 'm4a') {
        const smpb = /iTunSMPB.{16}( [0-9A-F]{8}){3} [0-9A-F]{16}/s.exec(
          each.toString('latin1'),
        )
        heard.push(smpb?.[0] ?? 'none')
      }
    }
    const half = heard.length / 2
    t.same(heard.slice(half), heard.slice(0, half), 'samples, length and gaps')
  })

  t.test(`${asset} with tags is served like any file`, async (t) => {
    const url = `${asset}?tags=1`
    const whole = await get('a', url)
    const file = await bytesOf(whole)
    const etag = whole.headers.get('etag') ?? ''
    t.not(etag, (await get('a', asset)).headers.get('etag'))
    t.equal(whole.headers.get('content-length'), String(file.length))
    const head = await get('a', url, { method: 'HEAD' })
    t.equal(head.headers.get('content-length'), String(file.length))
    t.equal(head.headers.get('etag'), etag)
    t.equal((await get('a', url, { headers: { 'if-none-match': etag } })).status, 304)
    const last = file.length - 1
    for (const [start, end] of [
      ...[
        [0, 0],
        [0, last],
        [100, 199],
        [last, last],
      ],
      ...[
        [50, file.length - 50],
        [file.length - 20_000, last],
      ],
    ] as [number, number][]) {
      const part = await get('a', url, { headers: { range: `bytes=${start}-${end}` } })
      t.equal(part.status, 206)
      t.equal(part.headers.get('content-range'), `bytes ${start}-${end}/${file.length}`)
      t.same(await bytesOf(part), file.subarray(start, end + 1), `${start} to ${end}`)
    }
    const beyond = await get('a', url, { headers: { range: `bytes=${file.length}-` } })
    t.equal(beyond.status, 416)
    t.equal(beyond.headers.get('content-range'), `bytes */${file.length}`)
    t.same(await bytesOf(get('a', asset)), body, 'and without them is as it was')
  })
}

t.test('the track tells what it is called', async (t) => {
  const response = await fetch(`${api.url}/v1/tracks/a`)
  t.match(await response.json(), { asset_guid: 'a', title: TITLE, artist: ARTIST })
})

t.test('other values are another ETag, the same ones the same', async (t) => {
  const etag = async () =>
    (await get('e', 'aac-128?tags=1', { method: 'HEAD' })).headers.get('etag')
  await made('e', { results: {} })
  const without = await etag()
  await made('e', { results: {} })
  t.equal(await etag(), without)
  await made('e')
  const withBpm = await etag()
  t.not(withBpm, without)
  await made('e', { title: 'x' })
  t.not(await etag(), withBpm)
})

t.test('what is not known is left out', async (t) => {
  const results = { bpm: { bpm: null, reason: 'silence' }, key: { tonic: null, scale: null } }
  await made('bare', {
    results: { ...results, loudness: { integrated: null, truePeak: null } },
  })
  for (const asset of Object.keys(FILES)) {
    const { common, native } = await parseBuffer(await bytesOf(get('bare', `${asset}?tags=1`)))
    t.match(common, { title: undefined, artist: undefined, bpm: undefined, key: undefined })
    const ids = Object.values(native)
      .flat()
      .map(({ id }) => id)
    t.ok(
      ids.some((id) => /asset_guid/i.test(id)),
      'the track is',
    )
    t.notOk(ids.some((id) => /BPM|tmpo|replaygain|key/i.test(id)))
  }
})

t.test('what is less likely than not is no tag: software would mix by it', async (t) => {
  const bpm = { bpm: 127.98, confidence: 0.37 }
  const key = { key: 'F# minor', tonic: 'F#', scale: 'minor', camelot: '11A', confidence: 0.14 }
  await made('guessed', { results: { bpm, key } })
  for (const asset of Object.keys(FILES)) {
    const { common } = await parseBuffer(await bytesOf(get('guessed', `${asset}?tags=1`)))
    t.match(common, { bpm: undefined, key: undefined })
  }
})

t.test('what takes no tags, and what is no value of tags, is refused', async (t) => {
  await made('r')
  t.match(await bodyOf(get('r', 'bpm?tags=1')), { code: 'NOT_TAGGABLE', detail: /\.json/ })
  t.equal((await get('r', 'bpm?tags=1')).status, 422)
  for (const value of ['0', '', 'true', '1&tags=1']) {
    const response = await get('r', `aac-128?tags=${value}`)
    t.equal(response.status, 400, `tags=${value}`)
    t.match(await response.json(), { code: 'BAD_REQUEST' })
  }
})

t.test('a file that is not what its name says is refused', async (t) => {
  for (const [extension, body, why] of [
    ['m4a', Buffer.from('not an m4a at all, but long enough'), /moov|cut short/],
    ['m4a', Buffer.concat([box('ftyp', 8), box('mdat', 8), box('moov', 8)]), /come first/],
    ['m4a', box('moov', 8), /no udta|damaged/],
    ['mp3', Buffer.from('ID3\x03'), /already/],
    ['flac', Buffer.from('RIFF'), /no FLAC/],
    ['flac', FILES.flac.body.subarray(0, 50), /cut short/],
  ] as const) {
    await t.rejects(tagged(servedFile(body), extension, { asset_guid: 'x' }), {
      code: 'NOT_TAGGABLE',
      message: why,
    })
  }
})

t.test('the head of hours is moved whole, and nothing else is read for it', async (t) => {
  const sizes = new Uint32Array(400_000).fill(371)
  const head = Buffer.from(m4aHead(sizes, (sizes.length - 1) * 1024))
  const bytes = head.length + sizes.length * 371
  let read = 0
  const file: ServedFile = {
    bytes,
    read: async (start, end) => {
      read = Math.max(read, end)
      return Readable.from([head.subarray(start, end)])
    },
  }
  const { bytes: more, ...rest } = await tagged(file, 'm4a', { asset_guid: 'x', title: 'y' })
  t.ok(read <= head.length)
  const by = more - bytes
  const grown = await buffer(await rest.read(0, head.length + by - 8))
  const offsets = (of: Buffer) => {
    const at = of.indexOf('stco', 0, 'latin1')
    return Array.from({ length: of.readUInt32BE(at + 8) }, (_, i) =>
      of.readUInt32BE(at + 12 + 4 * i),
    )
  }
  t.ok(offsets(head).length > 18_000)
  t.same(
    offsets(grown),
    offsets(head).map((offset) => offset + by),
  )
})

t.test('a file that has gone is not found, tags or no tags', async (t) => {
  await made('gone')
  await api.assets.remove(
    assetName('gone', 'x1' as Revision, { id: 'flac', version: 1 }, 'flac'),
  )
  const response = await get('gone', 'flac?tags=1')
  t.equal(response.status, 404)
  t.equal(response.headers.get('etag'), null)
})

function servedFile(body: Buffer): ServedFile {
  const read = async (start: number, end: number) => Readable.from([body.subarray(start, end)])
  return { bytes: body.length, read }
}

function box(type: string, contents: number): Buffer {
  const bytes = Buffer.alloc(8 + contents)
  bytes.writeUInt32BE(bytes.length)
  bytes.write(type, 4, 'latin1')
  return bytes
}
