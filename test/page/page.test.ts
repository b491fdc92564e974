import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import t from 'tap'
import { keyName } from '#shared/audio/musical-keys.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { CHAIN_ERRORS } from '#shared/contracts/errors/chain.ts'
import type { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import type { Config } from '#shared/frame/settings.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { anyPort } from '../../tools/local/port.ts'
import { clubTrack } from '../../tools/local/synth.ts'
import { accepted, ended } from '../shared/catalogue/fixture.ts'
import { wav } from '../support/audio.ts'
import { surroundings } from '../support/chain.ts'
import { noChromium } from '../support/chromium.ts'
import { allConsumers } from '../support/one-process.ts'
import { patient, until } from '../support/patience.ts'
import { startService } from '../support/processes/service.ts'
import { silence, sine } from '../support/synth.ts'
import { barriers, drop, openBrowser } from './browser.ts'
import { fillList } from './fill-list.ts'

t.setTimeout(patient(1_200_000))

const skip = noChromium(t)
/** The machine may be crowded. */
const timeout = patient(90_000)
const MAX_BYTES = 150_000
/** Number of tracks in the list. Set TRACKS=100000 for the full test. */
const MANY = Number(process.env.TRACKS ?? 5_000)

t.test('the page, as people use it', { skip }, async (t) => {
  const own = (id: string, file: string, type: string) => `export default {
    id: '${id}', version: 1, title: 'Own', stage: 'encode', files: { ${file}: '${type}' },
    cost: { fixedMs: 1, msPerSecond: 1 }, render: async () => ({ ${file}: Buffer.from('{"a":1}') }) }`
  const derivatives = t.testdir({
    'strip.mjs': own('strip', 'png', 'image/png'),
    'hum.mjs': own('hum', 'ogg', 'audio/ogg'),
    'facts.mjs': own('facts', 'json', 'application/json'),
    'blob.mjs': own('blob', 'bin', 'application/octet-stream'),
  })
  const around = await surroundings({ derivatives })
  const { config, bus, database, postgres } = around
  const consumers = await allConsumers({
    ...{ config, bus, database, hardLimitMs: 100_000 },
    log: createLog('page', 'fatal'),
    // The service behind the page, ingest, runs by itself.
    only: ['stage', 'analyze', 'encode', 'publish', 'events'],
  })
  const servers: ReturnType<typeof startService>[] = []
  async function serve(settings: Partial<Config> = {}): Promise<string> {
    const port = await anyPort()
    const server = startService('ingest/main.ts', {
      ...config,
      port,
      drain_seconds: 0,
      ...settings,
    })
    servers.push(server)
    await server.ready
    return `http://127.0.0.1:${port}`
  }
  const url = await serve()
  const post = (job: EncodeJob) =>
    fetch(`${url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(job),
    })
  const browser = await openBrowser()
  t.teardown(async () => {
    await browser.close()
    for (const { child } of servers) child.kill()
    await Promise.all(servers.map(({ exited }) => exited))
    await consumers.close()
    await around.close()
  })

  const elsewhere: string[] = []
  const said: string[] = []
  async function open(path = '/', colorScheme: 'light' | 'dark' = 'light', at = url) {
    const viewport = { width: 1280, height: 900 }
    const page = await browser.newPage({ colorScheme, viewport, reducedMotion: 'reduce' })
    page.setDefaultTimeout(timeout)
    page.on('request', (request) => {
      if (!request.url().startsWith(at) && !request.url().startsWith('blob:'))
        elsewhere.push(request.url())
    })
    page.on('pageerror', ({ stack = '' }) => said.push(stack))
    page.on('console', (line) => {
      // What does not load has an answer of its own, which tests ask for.
      const isMissing = line.text().startsWith('Failed to load resource')
      if (line.type() === 'error' && !isMissing) said.push(line.text())
    })
    page.on('dialog', (dialog) => said.push(`a dialog: ${dialog.message()}`))
    await page.goto(`${at}${path}`)
    return page
  }
  // For screenshots, a longer track that has everything a track can have; otherwise one that is made quickly.
  const bars = process.env.SCREENSHOTS === undefined ? 16 : 32
  const club = clubTrack({ bars, sampleRate: 44_100 })
  const nightDrive = wav([Float64Array.from(club.left), Float64Array.from(club.right)])
  const hostile = '<img src=x onerror=alert(1)>'
  const page = await open()

  await t.test(
    'three files are dropped: two are done, and of the broken one it says why',
    async (t) => {
      await drop(page, [
        { name: 'Mara Lind - Night Drive.wav', bytes: nightDrive },
        { name: `${hostile}.wav`, bytes: wav([sine(66_150, 440)]).subarray(0, 88_244) },
        { name: 'Broken.wav', bytes: Buffer.from('\x00\x01\x02\x03 no audio') },
      ])
      const files = page.getByRole('region', { name: 'Your files' })
      await files.getByText('3 of 3 finished').waitFor()
      const rows = await files.getByRole('listitem').allTextContents()
      t.match(rows[0], /Night Drive.*12[56]\.\d\d BPM.*8A.*A minor.*done/s)
      t.match(rows[1], /<img src=x onerror=alert\(1\)>\.wav.*done/s, 'a name is text')
      t.match(rows[2], /Broken\.wav.*failed.*begins with bytes that are no audio known here/s)
      const list = page.getByRole('region', { name: 'Tracks' })
      await list.getByText(hostile, { exact: true }).waitFor()
    },
  )

  await t.test('a master that breaks off has a mark in the list, and the reason', async (t) => {
    const page = await open()
    const line = page.locator('.lines a', { has: page.locator('.is-warned') })
    t.match(await line.textContent(), /onerror=alert.*done.*Warning: cut short/s)
    await page.goto(`${url}/#/?warning=none`)
    await page.getByText('Night Drive').waitFor()
    t.equal(await line.count(), 0, 'it can be left out')
    await page.goto(`${url}/#/?warning=any`)
    await line.click()
    const region = page.getByRole('region', { name: 'A warning about its master' })
    t.match(
      await region.textContent(),
      /CUT_SHORT the WAV .* promises 1\.5 s, and 1 s are there/,
    )
    const history = page.getByRole('region', { name: 'History' })
    await history.getByText('CUT_SHORT').waitFor()
    t.same(await barriers(page), [])
    await page.close()
  })

  await t.test('an asset that the page does not know is shown by its type', async (t) => {
    await around.master('owned', wav([silence(44_100)]))
    await post({ asset_guid: 'owned', derivative_assets: ['strip', 'hum', 'facts', 'blob'] })
    const page = await open('/#/tracks/owned')
    const shown = (id: string) => page.locator('.assets li', { hasText: id }).locator('.shown')
    await shown('strip').and(page.locator('img')).waitFor()
    await shown('hum').and(page.locator('audio')).waitFor()
    t.equal(await shown('facts').textContent(), '{\n  "a": 1\n}')
    t.equal(await shown('blob').count(), 0)
    await page.getByText('Download blob').waitFor({ state: 'attached' })
    await page.close()
  })

  await t.test('a track is opened with the keyboard alone, and plays', async (t) => {
    await page.keyboard.press('Tab')
    for (let tabs = 0; tabs < 60; tabs++) {
      const at = (await page.evaluate('document.activeElement.textContent')) as string
      const isLine = await page.evaluate("document.activeElement.matches('.lines a')")
      if (isLine === true && at.includes('Night Drive')) break
      await page.keyboard.press('Tab')
    }
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'Night Drive' }).waitFor()
    await page.getByText('Mara Lind').waitFor()
    await page
      .getByRole('img', { name: /A minor on the Camelot wheel. It mixes with 7A, 9A, 8B/ })
      .waitFor()
    t.match(await page.getByRole('region', { name: 'Tempo' }).textContent(), /12[56]\.\d\d/)
    t.match(
      await page.getByRole('region', { name: 'Loudness' }).textContent(),
      /−\d+\.\d\s*LUFS/,
    )

    const wave = page.getByRole('slider', { name: 'Position' })
    await page.getByRole('button', { name: 'Zoom in' }).click()
    await page.locator('.beats').waitFor({ state: 'attached' })
    const { apart, many } = await beatsOf(page)
    const seconds = club.left.length / club.sampleRate
    t.ok(Math.abs(apart * seconds - 60 / club.bpm) < 0.005, `a line every ${apart * seconds} s`)
    t.ok(many >= (seconds * club.bpm) / 60 / 2 - 1, `${many} lines in view`)
    await wave.click({ position: { x: 300, y: 60 } })
    const from = Number(await page.evaluate("document.querySelector('audio').currentTime"))
    const all = Number(await page.evaluate("document.querySelector('.wave-all').clientWidth"))
    const clicked = (300 / all) * seconds
    t.ok(
      from > clicked - 0.1 && from < clicked + 5,
      `it begins where it was clicked: ${from} s`,
    )
    await holds(page, `document.querySelector('audio').currentTime > ${from + 0.3}`)
    await wave.press(' ')
    t.equal(await page.evaluate("document.querySelector('audio').paused"), true)
    const loading = page.waitForEvent('download')
    await page.getByRole('link', { name: /^Download aac-128/ }).click()
    t.match((await loading).suggestedFilename(), /aac-128\.m4a$/)
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.getByRole('button', { name: 'Copy link to aac-128.m4a' }).click()
    await page.getByText('Copied: valid for an hour, for anybody who has it.').waitFor()
    const link = String(await page.evaluate('navigator.clipboard.readText()'))
    t.ok(link.startsWith(`${url}/v1/links/`), link)
    t.equal((await fetch(link, { method: 'HEAD' })).status, 200)
    t.match(
      await page.getByRole('region', { name: 'History' }).textContent(),
      /ingest.*stage.*analyze.*encode.*publish/s,
    )
  })

  await t.test(
    'a dead letter is redriven once its master is there, and one is mended',
    async (t) => {
      await post({ asset_guid: 'late', derivative_assets: ['loudness'] })
      await page.getByRole('link', { name: /Dead letters/ }).click()
      const late = page.getByRole('article', { name: 'MASTER_NOT_FOUND, late' })
      await late.getByText(CHAIN_ERRORS.MASTER_NOT_FOUND.remedy).waitFor()
      await around.master('late', wav([sine(66_150, 440)]))
      await late.getByRole('button', { name: 'Redrive' }).click()
      await late.getByText('as run 2').first().waitFor()
      await late.getByRole('link', { name: 'late' }).click()
      await page.getByText('done', { exact: true }).first().waitFor()

      await page.getByRole('link', { name: /Dead letters/ }).click()
      const broken = page.getByRole('article', { name: /MASTER_UNREADABLE, Broken-/ })
      const choosing = page.waitForEvent('filechooser')
      await broken.getByRole('button', { name: 'Send a repaired file' }).click()
      const buffer = wav([sine(66_150, 220)])
      await (await choosing).setFiles({ name: 'mended.wav', mimeType: 'audio/wav', buffer })
      await broken.getByRole('link', { name: /Broken-/ }).click()
      await page.getByRole('region', { name: 'Loudness' }).waitFor()
      await page.getByRole('link', { name: 'Trackchain, home' }).click()
      await page.getByText('4 of 4 finished').waitFor()
      await page.getByRole('link', { name: /Dead letters/ }).click()
      await page.getByText('No dead letters.').waitFor()
      const link = page.getByRole('link', { name: /Dead letters/ })
      // The number beside it comes with the next board.
      t.ok(await until(async () => /^Dead letters\s*$/.test((await link.textContent()) ?? '')))
    },
  )

  await t.test('a job under way is cancelled, once the page has asked', async (t) => {
    // Nobody gets its message.
    await acceptJobs(database, [accepted(['bpm'], { track: 'unwanted' })])
    const page = await open('/#/tracks/unwanted')
    await page.getByText('0 %, 0 of 1 assets').waitFor()
    await page.getByRole('button', { name: 'Cancel …' }).click()
    await page.getByRole('button', { name: 'Let it run' }).click()
    await page.getByRole('button', { name: 'Cancel …' }).click()
    await page.getByLabel('Why').fill('no longer wanted')
    await page.getByRole('button', { name: 'Cancel the job' }).click()
    await page.getByText('cancelled', { exact: true }).first().waitFor()
    await page.getByText(/cancelled by a user of this machine: no longer wanted/).waitFor()
    t.equal(await page.getByRole('button', { name: 'Cancel …' }).count(), 0)
    await page.close()
  })

  await t.test('campaigns have bars, and act once the page has asked', async (t) => {
    const made = await fetch(`${url}/v1/campaigns`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'old tempos', question: { stale: ['bpm'] } }),
    })
    const { id } = (await made.json()) as { id: string }
    const text = `update campaign set state = 'running', enumerated_at = now(), items = 8, released = 2 where id = $1`
    await database.query({ text }, [id])
    const page = await open('/#/campaigns')
    await page.getByRole('progressbar', { name: 'old tempos: 0 %, 0 of 8 items' }).waitFor()
    await page.getByRole('button', { name: 'Pause …' }).click()
    await page.getByRole('button', { name: 'Leave it' }).click()
    await page.getByRole('button', { name: 'Pause …' }).click()
    await page.getByLabel('Why').fill('a look')
    await page.getByRole('button', { name: 'Pause', exact: true }).click()
    await page.getByText('a look').waitFor()
    await page.getByText('Resume it: what was under way').waitFor()
    t.same(await barriers(page), [])
    await page.getByRole('button', { name: 'Cancel …' }).click()
    await page.getByRole('button', { name: 'Cancel the campaign' }).click()
    await page.getByText('cancelled', { exact: true }).waitFor()
    t.equal(await page.getByRole('button', { name: 'Pause …' }).count(), 0)
    await page.setViewportSize({ width: 360, height: 740 })
    const isWide = 'document.documentElement.scrollWidth > innerWidth'
    t.equal(await page.evaluate(isWide), false, 'it fits 360 px')
    await page.close()
  })

  await t.test('a release has a bar and its tracks, and is cancelled as a whole', async (t) => {
    // Nobody gets their messages.
    const runs = ['side-a', 'side-b'].map((track) => {
      const run = accepted(['bpm'], { track })
      return { ...run, request: { ...run.request, release_id: 4711, title: `the ${track}` } }
    })
    await acceptJobs(database, runs)
    await recordRuns(
      database,
      runs.slice(0, 1).map((run) => ended(run)),
    )
    const page = await open()
    await page.getByRole('link', { name: 'Releases' }).click()
    await page.getByRole('img', { name: '2 tracks: 1 done, 1 running' }).waitFor()
    t.same(await barriers(page), [])
    await page.getByRole('link', { name: 'failed', exact: true }).click()
    await page.getByText('No releases').waitFor()
    await page.getByRole('link', { name: 'running', exact: true }).click()
    await page.getByRole('link', { name: 'Release 4711' }).click()
    await page.getByRole('heading', { level: 1, name: 'Release 4711' }).waitFor()
    t.match(
      await page.getByRole('region', { name: 'Its tracks' }).textContent(),
      /2 tracks: 1 done, 1 running.*the side-a.*done.*side-b.*running/s,
    )
    t.same(await barriers(page), [])
    await page.getByRole('button', { name: 'Cancel …' }).click()
    await page.getByRole('button', { name: 'Let it run' }).click()
    await page.getByRole('button', { name: 'Cancel …' }).click()
    await page.getByText('Jobs over 1 of its tracks are open').waitFor()
    await page.getByLabel('Why').fill('withdrawn')
    await page.getByRole('button', { name: 'Cancel the release' }).click()
    await page.getByRole('img', { name: '2 tracks: 1 done, 1 cancelled' }).waitFor()
    t.equal(await page.getByRole('button', { name: 'Cancel …' }).count(), 0)
    await page.setViewportSize({ width: 360, height: 740 })
    const isWide = 'document.documentElement.scrollWidth > innerWidth'
    t.equal(await page.evaluate(isWide), false, 'it fits 360 px')
    await page.getByRole('link', { name: 'the side-a' }).click()
    await page.getByRole('heading', { level: 1, name: 'the side-a' }).waitFor()
    await page.getByRole('link', { name: 'Release 4711' }).click()
    await page.getByRole('link', { name: 'side-b' }).click()
    await page.getByText(/cancelled by a user of this machine: withdrawn/).waitFor()
    await page.close()
  })

  await t.test('a list of thousands is scrolled through, and searched', async (t) => {
    await fillList(postgres.open(config.database), MANY)
    const page = await open()
    const began = performance.now()
    await page.locator('.lines a').first().waitFor()
    t.comment(`the first line after ${Math.round(performance.now() - began)} ms`)
    // What is below the window is not drawn.
    await page.locator('.lines').evaluate((list) => list.scrollIntoView())
    const guess = page.locator('.lines .unsure')
    t.match(
      await guess.textContent(),
      /^\d+[AB] .*\?\s*uncertain: 14 %$/s,
      'a guess has a mark',
    )
    t.equal(await guess.getAttribute('title'), 'uncertain: 14 %')
    const last = page.locator(`[aria-posinset="${MANY}"]`)
    while (!(await last.isVisible())) {
      await page.evaluate('scrollTo(0, document.body.scrollHeight)')
      await page.waitForTimeout(20)
    }
    const drawn = await page.locator('.lines li').count()
    t.ok(drawn < 60, `${drawn} lines are drawn`)
    const places = await page
      .locator('.lines li')
      .evaluateAll((all) =>
        all.map((each) => (each as unknown as { ariaPosInSet: string }).ariaPosInSet),
      )
    t.equal(new Set(places).size, places.length)

    await page.goto(`${url}/#/?key=8A&harmonic=1&bpm_from=125&bpm_to=127`)
    await page.getByText('Night Drive').waitFor()
    const keys = await page.locator('.lines .key b').allTextContents()
    t.same(new Set(keys.filter((key) => !['7A', '8A', '9A', '8B'].includes(key))), new Set())
    t.equal(await page.locator('.lines .unsure').count(), 0, 'and mixes with nothing')
    await page.getByLabel('Title, artist or guid').fill('Night Dri')
    await holds(page, "document.querySelectorAll('.lines li').length === 1")
    t.match(page.url(), /q=Night\+Dri/, 'the address says what is shown')
    await page.close()
  })

  await t.test('the page is accessible, in the light and the dark theme', async (t) => {
    const pictures = process.env.SCREENSHOTS
    const picture = async (page: Page, name: string) => {
      if (pictures !== undefined) await page.screenshot({ path: join(pictures, `${name}.png`) })
    }
    for (const scheme of ['light', 'dark'] as const) {
      const page = await open('/', scheme)
      await page.getByText('live', { exact: true }).waitFor()
      await page.locator('.lines a').first().waitFor()
      t.same(await barriers(page), [], `the board, ${scheme}`)
      await page.goto(`${url}/#/?bpm_from=100`)
      await page.getByText('Mara Lind').waitFor()
      await picture(page, scheme === 'light' ? 'page-light' : 'board-dark')
      await page.goto(`${url}/#/?q=Night+Drive`)
      await page.getByText('Mara Lind').click()
      await page.getByRole('button', { name: 'Zoom in' }).click()
      await page.locator('.beats').waitFor({ state: 'attached' })
      await page.getByRole('slider').press('ArrowRight')
      t.same(await barriers(page), [], `a track, ${scheme}`)
      await picture(page, scheme === 'dark' ? 'page-dark' : 'track-light')
      await page.goto(`${url}/#/dead-letters?state=all`)
      await page.getByText(`discarded by`).waitFor()
      t.same(await barriers(page), [], `dead letters, ${scheme}`)
      await picture(page, `letters-${scheme}`)
      await page.goto(`${url}/#/campaigns`)
      await page.getByRole('progressbar').first().waitFor()
      t.same(await barriers(page), [], `campaigns, ${scheme}`)
      await picture(page, `campaigns-${scheme}`)
      await page.goto(`${url}/#/releases/4711`)
      await page.getByRole('link', { name: 'the side-a' }).waitFor()
      t.same(await barriers(page), [], `a release, ${scheme}`)
      await picture(page, `release-${scheme}`)
      await page.setViewportSize({ width: 360, height: 740 })
      const paths = [
        '/#/',
        '/#/tracks/late',
        '/#/dead-letters?state=all',
        '/#/campaigns',
        '/#/releases',
      ]
      for (const path of paths) {
        await page.goto(`${url}${path}`)
        await page.waitForTimeout(300)
        const { width, all } = (await page.evaluate(
          '({ width: innerWidth, all: document.documentElement.scrollWidth })',
        )) as { width: number; all: number }
        t.equal(all, width, `${path} fits 360 px`)
        await picture(page, `narrow-${scheme}-${path.replace(/\W+/g, '-')}`)
      }
      await page.close()
    }
  })

  await t.test('where a token is needed it asks for one, and goes by its scopes', async (t) => {
    const token = 'of-somebody-who-may-look'
    const sha256 = createHash('sha256').update(token).digest('hex')
    const other = await serve({ tokens: [{ sha256, scopes: ['read'] }] })
    const page = await open('/', 'light', other)
    const dialog = page.getByRole('dialog', { name: 'Sign in' })
    await dialog.getByText('A token is needed here.').waitFor()
    t.same(await barriers(page), [])
    await dialog.getByLabel('Token').fill('a-guess')
    await page.keyboard.press('Enter')
    await dialog.getByText('This token is not known here.').waitFor()
    await dialog.getByLabel('Token').fill(token)
    await page.keyboard.press('Enter')
    await page.getByText('Mara Lind').click()
    await page.getByRole('button', { name: 'Play' }).click()
    await holds(page, "document.querySelector('audio').currentTime > 0.2")
    t.match(await page.evaluate("document.querySelector('audio').src"), /^blob:/)

    await post({ asset_guid: 'never', derivative_assets: ['loudness'] })
    await page.getByRole('link', { name: /Dead letters/ }).click()
    const never = page.getByRole('article', { name: 'MASTER_NOT_FOUND, never' })
    await never.getByRole('button', { name: 'Discard' }).click()
    await page.getByLabel('Why').fill('because')
    await page.keyboard.press('Tab')
    await page.getByRole('dialog').getByRole('button', { name: 'Discard' }).click()
    await never
      .getByText(/This needs the scope operate.*Ask an operator of the chain/)
      .waitFor()
    await page.close()
  })

  await t.test(
    'it is small, it keeps to itself, and it calls keys as the chain does',
    async (t) => {
      const fresh = await browser.newPage()
      let bytes = 0
      const sizes: Promise<unknown>[] = []
      fresh.on('requestfinished', (request) => {
        if (new URL(request.url()).pathname.startsWith('/v1/')) return
        sizes.push(
          request.sizes().then((each) => {
            bytes += each.responseBodySize
          }),
        )
      })
      await fresh.goto(url)
      await fresh.getByRole('heading', { name: 'Tracks' }).waitFor()
      await Promise.all(sizes)
      t.ok(bytes > 10_000 && bytes < MAX_BYTES, `${bytes} bytes`)
      const keys = await fresh.evaluate(
        "import('/page/lib/camelot.js').then(({ KEYS }) => KEYS)",
      )
      const known = (['minor', 'major'] as const).flatMap((scale) =>
        Array.from({ length: 12 }, (_, pitch) => keyName(pitch, scale)),
      )
      const inOrder = (all: readonly { camelot: string; key: string }[]) =>
        all.map(({ camelot, key }) => `${camelot} ${key}`).sort()
      t.same(inOrder(keys as []), inOrder(known))
      t.same(elsewhere, [], 'nothing is asked of others')
      t.same(said, [], 'no error, no dialog')
    },
  )
})

/** The distance between the lines of beats, as a share of the width, and their number. */
async function beatsOf(page: Page) {
  const path = String(await page.locator('.beats').getAttribute('d'))
  const width = Number(await page.evaluate("document.querySelector('.wave-all').clientWidth"))
  const xs = [...path.matchAll(/M([\d.]+) /g)].map(([, x]) => Number(x))
  return { apart: ((xs.at(-1) ?? 0) - (xs[0] ?? 0)) / (xs.length - 1) / width, many: xs.length }
}

/** Waits until an expression is true. Playwright's own method needs eval, which the page forbids. */
async function holds(page: Page, expression: string): Promise<void> {
  for (const end = Date.now() + timeout; Date.now() < end; await page.waitForTimeout(50)) {
    if (await page.evaluate(expression)) return
  }
  throw new Error(`in vain: ${expression}`)
}
