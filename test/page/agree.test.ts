import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import t from 'tap'
import type { TrackLine } from '#shared/contracts/api/track.ts'
import { CHAIN, type ChainStep } from '#shared/contracts/stages.ts'
import { anyPort } from '../../tools/local/port.ts'
import { ownPostgres } from '../../tools/local/postgres/temporary.ts'
import { wav } from '../support/audio.ts'
import { surroundings, until } from '../support/chain.ts'
import { noChromium } from '../support/chromium.ts'
import { filesThatName, namesIn, unknownNames } from '../support/metric-names.ts'
import { patient } from '../support/patience.ts'
import { type RunningService, startService } from '../support/processes/service.ts'
import { club } from '../support/synth.ts'
import { openBrowser } from './browser.ts'

t.setTimeout(patient(3_600_000))

/** Number of tracks in each round. Set TRACKS=200 for the full test. */
const TRACKS = Number(process.env.TRACKS ?? 10)
/** How long the recorder and the database are down, seconds. Set AWAY_SECONDS=60 for the full test. */
const AWAY_SECONDS = Number(process.env.AWAY_SECONDS ?? 4)
/** One of each stage, and cheap. */
const ASSETS = ['loudness', 'waveform']
type Name = ChainStep
const WAIT_MS = patient(600_000)

const skip = noChromium(t)

/** The figures that all views have to agree on. */
interface Counts {
  readonly made: number
  readonly failed: number
  readonly letters: number
  readonly events: number
  readonly done: number
  readonly spoilt: number
}

t.test('page, API, metrics and database agree on every count', { skip }, async (t) => {
  const postgres = await ownPostgres()
  const options = { keepsLetters: false, postgres }
  const around = await surroundings({ derivatives: '' }, options)
  const { config, folder, published } = around
  const database = postgres.open(config.database)
  const running = new Map<Name, { service: RunningService; port: number }>()
  async function start(name: Name): Promise<void> {
    const port = await anyPort()
    const at = name === 'ingest' ? { port, drain_seconds: 0 } : { health_port: port }
    const service = startService(`${name}/main.ts`, { ...config, ...at })
    running.set(name, { service, port })
    await service.ready
  }
  const names = CHAIN
  const browser = await openBrowser()
  t.teardown(async () => {
    await browser.close()
    for (const { service } of running.values()) service.child.kill('SIGKILL')
    await Promise.all([...running.values()].map(({ service }) => service.exited))
    await around.close()
  })
  await Promise.all(names.map(start))
  const urlOf = (name: Name) => `http://127.0.0.1:${running.get(name)?.port}`
  const kill = async (name: Name) => {
    const { service } = running.get(name) as { service: RunningService }
    service.child.kill('SIGKILL')
    await service.exited
  }
  const began = new Date()

  const good = wav(club(22_050))
  const asked: string[] = []
  const spoilt = new Set<string>()
  /** Submits tracks, of which every fifth has no master or an unreadable one. @returns the tracks */
  async function submit(): Promise<readonly string[]> {
    const tracks = Array.from({ length: TRACKS }, (_, n) => `track-${asked.length + n}`)
    for (const [n, track] of tracks.entries()) {
      if (n % 5 === 4) spoilt.add(track)
      if (n % 10 === 4) await around.master(track, Buffer.from('no audio'))
      else if (n % 10 !== 9) await around.master(track, good)
      await around.submit({ asset_guid: track, derivative_assets: ASSETS as ['loudness'] })
    }
    asked.push(...tracks)
    return tracks
  }
  const ended = () => until(() => asked.every((track) => published.has(track)), WAIT_MS)
  // biome-ignore lint/suspicious/noExplicitAny: what is compared need not be described
  const get = async (path: string, name: Name = 'ingest'): Promise<any> => {
    const response = await fetch(`${urlOf(name)}${path}`)
    return response.headers.get('content-type')?.includes('json')
      ? response.json()
      : response.text()
  }
  /** Waits until all events have been recorded. */
  async function recorded(): Promise<void> {
    await until(() => around.isIdle(), WAIT_MS)
  }

  async function ofDatabase(): Promise<Counts> {
    const [row] = await database.query<Counts>({
      text: `select (select count(*) from asset where state = 'made') as made,
        (select count(*) from job, json_each(verdicts) as each
          where each.value ->> 'state' = 'failed') as failed,
        (select count(*) from dead_letter) as letters,
        (select count(*) from event) as events,
        (select count(*) from job where state = 'done') as done,
        (select count(*) from job where state = 'failed') as spoilt`,
    })
    return row as Counts
  }
  async function ofApi(): Promise<Counts> {
    const to = new Date(Date.now() + 60_000)
    const kpis = await get(`/v1/kpis?from=${began.toISOString()}&to=${to.toISOString()}`)
    const letters = await get('/v1/dead-letters?limit=1000')
    // A board is served again for some seconds.
    const since = new Date().toISOString()
    const board = await until(async () => {
      const read = await get('/v1/board')
      return read.at >= since && read
    })
    t.equal(
      board.dead_letters_open,
      letters.letters.length,
      'the board and the list of letters',
    )
    const minutes: { made: number; failed: number }[] = board.minutes
    t.equal(
      minutes.reduce((sum, { made }) => sum + made, 0),
      kpis.completions,
    )
    t.equal(
      minutes.reduce((sum, { failed }) => sum + failed, 0),
      kpis.assets_failed,
    )
    const lines: TrackLine[] = []
    for (let next: string | null = '/v1/tracks?limit=100'; next; ) {
      const page = (await get(next)) as { tracks: TrackLine[]; next: string | null }
      lines.push(...page.tracks)
      next = page.next
    }
    const made = lines.reduce((sum, { assets }) => sum + assets.made.length, 0)
    t.equal(made, kpis.completions, 'assets of the list')
    t.equal(lines.length, kpis.tracks_completed, 'tracks of the list')
    return {
      ...{ made: kpis.completions, failed: kpis.assets_failed, events: kpis.recorded },
      letters: kpis.dead_lettered,
      done: lines.filter(({ state }) => state === 'done').length,
      spoilt: lines.filter(({ state }) => state === 'failed').length,
    }
  }
  async function ofPage(): Promise<Omit<Counts, 'events'>> {
    const page = await browser.newPage()
    await page.goto(urlOf('ingest'))
    const board = page.getByRole('region', { name: 'The chain' })
    const hour = board.getByRole('img', { name: /The last hour/ })
    const said = (await hour.getAttribute('aria-label'))?.replaceAll(/[^\w .:]/g, '')
    const [, made, failed] = /(\d+) assets made (\d+) failed/.exec(said ?? '') ?? []
    t.equal(await figure(page, 'tracks under way'), 0)
    t.equal(await figure(page, 'failures in the last hour'), Number(failed))
    const letters = await figure(page, 'open dead letters')
    const done = await listed(page, 'state=done')
    const spoilt = await listed(page, 'state=failed')
    t.equal(await listed(page, ''), done + spoilt, 'all tracks are listed')
    await page.close()
    return { made: Number(made), failed: Number(failed), letters, done, spoilt }
  }
  async function listed(page: Page, query: string): Promise<number> {
    await page.goto(`${urlOf('ingest')}/#/?${query}`)
    // Without this, the page would still show the previous list.
    await page.reload()
    const status = page.getByRole('region', { name: 'Tracks' }).getByRole('status')
    for (
      const end = Date.now() + patient(60_000);
      Date.now() < end;
      await page.waitForTimeout(100)
    ) {
      const said = (await status.textContent()) ?? ''
      if (/^[\d\W]+$/.test(said)) return Number(said.replaceAll(/\D/g, ''))
      await page.evaluate('scrollTo(0, document.body.scrollHeight)')
    }
    throw new Error('the list does not end')
  }
  async function ofMetrics(): Promise<Omit<Counts, 'done' | 'spoilt'>> {
    const texts = await Promise.all(names.map((name) => get('/metrics', name)))
    const sum = (metric: string, label = '') =>
      texts
        .flatMap((text) => text.split('\n'))
        .filter((line) => line.startsWith(`${metric}{`) && line.includes(label))
        .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' '))), 0)
    t.equal(sum('trackchain_steps_running'), 0, 'nothing runs')
    t.equal(sum('trackchain_swept_total'), 0)
    t.equal(sum('trackchain_objects_created_total', 'store="assets"'), files(), 'files')
    return {
      made: sum('trackchain_completions_total'),
      failed: sum('trackchain_failures_total'),
      letters: sum('trackchain_dead_letters_total'),
      events: sum('trackchain_recorded_total'),
    }
  }
  const files = () =>
    readdirSync(join(folder, 'assets', 'assets'), {
      recursive: true,
      withFileTypes: true,
    }).filter((entry) => entry.isFile() && !entry.name.startsWith('.~')).length
  /** The expected figures for the submitted tracks, to compare with what the views report. */
  const expected = () => ({
    made: (asked.length - spoilt.size) * ASSETS.length,
    failed: spoilt.size * ASSETS.length,
    letters: spoilt.size,
    done: asked.length - spoilt.size,
    spoilt: spoilt.size,
  })

  /**
   * The verdicts of the steps for each track, with their numbers. A step that is killed may be repeated whether
   * or not it has reported its event, so for publish only the fact that it was done counts.
   */
  async function histories(tracks: readonly string[]): Promise<readonly object[]> {
    return await Promise.all(
      tracks.map(async (track) => {
        const { events } = await get(`/v1/tracks/${track}/history?limit=1000`)
        const all = events as { step: string; verdict: string }[]
        const ends = all
          .filter(({ step, verdict }) => step !== 'publish' && verdict !== 'retry')
          .map(({ step, verdict }) => `${step} ${verdict}`)
        const isPublished = all.some(
          ({ step, verdict }) => step === 'publish' && ['done', 'skipped'].includes(verdict),
        )
        return [...ends, isPublished ? 'published' : 'not published'].sort()
      }),
    )
  }

  let undisturbed: readonly object[] = []
  await t.test('of an undisturbed run', async (t) => {
    const tracks = await submit()
    await ended()
    await recorded()
    const { events, ...counts } = await ofDatabase()
    t.same(counts, expected(), 'the database')
    t.same(await ofApi(), { ...counts, events }, 'the API')
    const { done, spoilt, ...metered } = counts
    t.same(await ofMetrics(), { ...metered, events }, 'metrics')
    const scrapes = await Promise.all(names.map((name) => get('/metrics', name)))
    const exported = namesIn(scrapes.join('\n'))
    for (const file of filesThatName())
      t.same(unknownNames(readFileSync(file, 'utf8'), exported), [], `metrics in ${file}`)
    t.same(await ofPage(), counts, 'the page')
    undisturbed = await histories(tracks)
    t.match(undisturbed[0], ['analyze done', 'encode done', 'ingest accepted', 'published'])
    t.comment(`${tracks.length} tracks, ${counts.made} assets, ${events} events`)
  })

  await t.test('of one whose services are killed, less what they had counted', async (t) => {
    await submit()
    for (const name of ['stage', 'analyze', 'encode', 'publish'] as const) {
      await kill(name)
      await start(name)
    }
    await ended()
    await recorded()
    const { events, ...counts } = await ofDatabase()
    t.same(counts, expected(), 'the database')
    t.same(await ofApi(), { ...counts, events }, 'the API')
    t.same(await ofPage(), counts, 'the page')
  })

  await t.test('and a history is whole when recorder and database were away', async (t) => {
    const tracks = await submit()
    await kill('publish')
    await postgres.down()
    await sleep(AWAY_SECONDS * 1000)
    await postgres.up()
    await start('publish')
    await ended()
    await recorded()
    t.same(await histories(tracks), undisturbed)
    const { events, ...counts } = await ofDatabase()
    t.same(counts, expected(), 'the database')
    t.same(await ofApi(), { ...counts, events }, 'the API')
  })
})

async function figure(page: Page, name: string): Promise<number> {
  const value = page.locator('.figures dl > div').filter({ hasText: name }).locator('dd')
  return Number((await value.textContent())?.replaceAll(/\D/g, ''))
}
