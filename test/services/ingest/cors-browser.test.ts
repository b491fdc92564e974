import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { chromium } from 'playwright-core'
import t, { type Test } from 'tap'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { assetName, jobId, type Revision } from '#shared/contracts/names.ts'
import { encodeTools } from '../../../services/encode/tools.ts'
import { inMemory, int16 } from '../../support/audio.ts'
import { chromiumPath, noChromium } from '../../support/chromium.ts'
import { patient, timeLimit } from '../../support/patience.ts'
import { club, RATE } from '../../support/synth.ts'
import { startApi } from './api.ts'

// Two sites, each with a page that tries everything: one whose origin is allowed, and one whose is not.

t.setTimeout(patient(120_000))
const token = randomUUID()
const tokens = [createHash('sha256').update(token).digest('hex')]

/** What a page found of each of its attempts. */
type Found = Record<
  'post' | 'upload' | 'resumed' | 'live' | 'refusal' | 'link' | 'fetched',
  string
> &
  Record<'played' | 'linked' | 'scripted' | 'image', string>

t.test('pages in Chromium', { skip: noChromium(t) }, async (t) => {
  const sites = [await site(t), await site(t)] as const
  const [allowed, other] = sites
  const api = await startApi({ cors_origins: [allowed] })
  t.teardown(() => api.close())
  const guarded = await api.replica({ tokens, cors_origins: [allowed] })
  await makeTrack()
  const browser = await chromium.launch({
    executablePath: chromiumPath() ?? 'chromium',
    args: [
      ...['--no-sandbox', '--mute-audio', '--autoplay-policy=no-user-gesture-required'],
      // Names of sites that are no names of this machine.
      '--host-resolver-rules=MAP *.test 127.0.0.1',
      // The browser asks a person before a page may reach this machine. The question is off, so that the page does.
      '--disable-features=LocalNetworkAccessChecks,PrivateNetworkAccessChecks',
    ],
  })
  t.teardown(() => browser.close())

  async function tries(origin: string, url: string, given: object = {}): Promise<Found> {
    const page = await browser.newPage()
    await page.goto(`${origin}/`)
    const found = (await page.evaluate(
      `(${ATTEMPTS})(${JSON.stringify({ url, ...given })})`,
    )) as Found
    await page.close()
    return found
  }

  /** A link that somebody else has made, so that a page need not be able to. */
  async function linkOf(url: string): Promise<string> {
    const headers = { authorization: `Bearer ${token}` }
    const at = `${url}/v1/tracks/track/assets/aac-128/link`
    return url + ((await (await fetch(at, { headers })).json()) as { url: string }).url
  }

  const all: Found = {
    ...{ post: '202', upload: '201', resumed: '202 offset 1000 then 201', live: 'board' },
    ...{ refusal: '404 NOT_FOUND', link: 'made', fetched: '206 etag', played: 'played' },
    ...{ linked: 'played', scripted: 'played', image: 'refused' },
  }
  for (const [what, at, secret] of [
    ['with a token', guarded, token],
    ['of a chain on loopback that asks for none', api, ''],
  ] as const) {
    await t.test(`a page of an allowed origin does everything ${what}`, async (t) => {
      const found = await tries(allowed, at.url, { token: secret, guid: `up-${randomUUID()}` })
      t.same(found, all)
    })

    await t.test(
      `a page of another origin does nothing ${what}, even with a link`,
      async (t) => {
        const link = await linkOf(at.url)
        const found = await tries(other, at.url, { token: secret, guid: 'none', link })
        t.same([...new Set(Object.values(found))], ['refused'], JSON.stringify(found))
        t.equal((await fetch(link)).status, 200, 'which is a good one')
      },
    )
  }

  await t.test(
    'with nothing but a link an allowed page plays it, as a partner does',
    async (t) => {
      const link = await linkOf(guarded.url)
      const found = await tries(allowed, guarded.url, { token: 'wrong', guid: 'none', link })
      t.match(found, { upload: '401', linked: 'played', scripted: 'played', played: 'refused' })
    },
  )

  await t.test(
    'a page whose name was made to resolve to this machine does nothing',
    async (t) => {
      const { port } = api
      const origin = `http://rebound.test:${port}`
      const page = await browser.newPage()
      await page.route(`${origin}/`, (route) =>
        route.fulfill({ contentType: 'text/html', body: '<title>rebound</title>' }),
      )
      await page.goto(`${origin}/`)
      const given = {
        url: origin,
        token: '',
        guid: 'none',
        link: (await linkOf(api.url)).replace(api.url, origin),
      }
      const found = (await page.evaluate(`(${ATTEMPTS})(${JSON.stringify(given)})`)) as Found
      for (const [name, value] of Object.entries(found)) t.match(value, /^(403|refused)/, name)
    },
  )

  async function makeTrack(): Promise<void> {
    const source = inMemory(int16(club(2 * RATE)))
    const bytes = await buffer(
      await encodeTools(source, timeLimit(100_000)).m4a(source, 128_000),
    )
    const [revision, request_id] = ['x01' as Revision, randomUUID()]
    const name = assetName('track', revision, { id: 'aac-128', version: 1 }, 'm4a')
    await api.assets.create(name, bytes, { contentType: 'audio/mp4' })
    const files = { m4a: bytes.length }
    await recordRuns(api.database, [
      {
        request: { request_id, asset_guid: 'track', derivative_assets: ['aac-128'] },
        ...{ job: jobId(request_id, 'track'), run: 1, route: 'cloud', restarts: 0 },
        accepted: new Date().toISOString(),
        master: { uri: 'file:///mnt/x.wav', revision, samples: 88_200, layout: 'WAV' },
        verdicts: { 'aac-128': { state: 'made', version: 1, files } },
      },
    ])
  }
})

/** A site with an empty page. @returns its origin, by another name than that of the API */
async function site(t: Test): Promise<string> {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'text/html')
    response.end('<!doctype html><title>a site</title>')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://localhost:${(server.address() as AddressInfo).port}`
}

/** What the page does. The types of tests have no DOM, so the code is passed to the browser as text. */
const ATTEMPTS = `async ({ url, token, guid, link }) => {
  const found = {}
  const authorization = token === '' ? {} : { authorization: 'Bearer ' + token }
  const ask = (path, init = {}) =>
    fetch(url + path, { ...init, headers: { ...authorization, ...init.headers } })
  const attempt = async (name, act) => {
    found[name] = await act().catch(() => 'refused')
  }
  const plays = (src, crossOrigin) => new Promise((resolve, reject) => {
    const audio = document.createElement('audio')
    if (crossOrigin !== undefined) audio.crossOrigin = crossOrigin
    audio.ontimeupdate = () => { if (audio.currentTime > 0.1) { audio.pause(); resolve('played') } }
    audio.onerror = () => reject(new Error('not loaded'))
    audio.src = src
    audio.play().catch(reject)
  })
  await attempt('post', async () => {
    const body = JSON.stringify({ asset_guid: guid, derivative_assets: ['bpm'] })
    const headers = { 'content-type': 'application/json' }
    return '' + (await ask('/v1/jobs', { method: 'POST', headers, body })).status
  })
  await attempt('upload', async () => {
    const body = crypto.getRandomValues(new Uint8Array(3000))
    return '' + (await ask('/v1/masters/' + guid, { method: 'PUT', body })).status
  })
  await attempt('resumed', async () => {
    const bytes = crypto.getRandomValues(new Uint8Array(3000))
    const at = '/v1/masters/' + guid + '?upload=' + crypto.randomUUID()
    const put = (from, to) => ask(at, {
      method: 'PUT',
      headers: { 'content-range': 'bytes ' + from + '-' + (to - 1) + '/3000' },
      body: bytes.slice(from, to),
    })
    const first = await put(0, 1000)
    const offset = (await ask(at, { method: 'HEAD' })).headers.get('upload-offset')
    return first.status + ' offset ' + offset + ' then ' + (await put(1000, 3000)).status
  })
  await attempt('live', async () => {
    const stop = new AbortController()
    const response = await ask('/v1/live', { signal: stop.signal, headers: { 'last-event-id': '1' } })
    if (!response.ok) return '' + response.status
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    for (let text = ''; ; ) {
      text += (await reader.read()).value
      if (text.includes('event: board')) { stop.abort(); return 'board' }
    }
  })
  await attempt('refusal', async () => {
    const response = await ask('/v1/tracks/there-is-none')
    return response.status + ' ' + (await response.json()).code
  })
  await attempt('link', async () => {
    const response = await ask('/v1/tracks/track/assets/aac-128/link')
    if (!response.ok) return '' + response.status
    link ??= url + (await response.json()).url
    return 'made'
  })
  await attempt('fetched', async () => {
    const response = await ask('/v1/tracks/track/assets/aac-128', { headers: { range: 'bytes=0-9' } })
    if (!response.ok) return '' + response.status
    return response.status + (response.headers.get('etag') === null ? '' : ' etag')
  })
  await attempt('played', async () => {
    const response = await ask('/v1/tracks/track/assets/aac-128')
    return await plays(URL.createObjectURL(await response.blob()))
  })
  await attempt('linked', () => plays(link))
  await attempt('scripted', () => plays(link, 'anonymous'))
  // What has no signature is loaded by no element, wherever it is.
  await attempt('image', () => new Promise((resolve, reject) => {
    const image = new Image()
    image.onload = () => resolve('loaded')
    image.onerror = reject
    image.src = url + '/v1/tracks/track/assets/waveform.png'
  }))
  return found
}`
