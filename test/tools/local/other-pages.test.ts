import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Browser, chromium, type Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { PROJECT } from '../../../tools/local/chain-settings.ts'
import { testPostgres } from '../../../tools/local/postgres/temporary.ts'
import { type Chain, startChain } from '../../../tools/local/supervisor.ts'
import { sine, wav } from '../../support/audio.ts'
import { noChromium } from '../../support/chromium.ts'
import { listeners } from '../../support/processes/listeners.ts'
import { waitingOf } from '../../support/waiting.ts'

/** What a page got from a port. */
interface Got {
  readonly by: string
  readonly path: string
  readonly what: string
}

const skip = noChromium(t)

t.test(
  'a page of another origin, and one by a rebound name, reach no port',
  { skip },
  async (t) => {
    const chain = await startedChain(t)
    const before = await kept(chain)
    const naive = await naiveServer(t)
    const browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--host-resolver-rules=MAP *.test 127.0.0.1',
        // The browser asks a person before a page may reach this machine. The question is off, so that the page does.
        '--disable-features=LocalNetworkAccessChecks,PrivateNetworkAccessChecks',
      ],
    })
    t.teardown(() => browser.close())

    const pids = [process.pid, ...Object.values(chain.pids())]
    const all = await listeners(pids)
    const ports = [
      ...new Set(all.map((address) => Number.parseInt(address.split(':')[1] ?? '', 16))),
    ]
    // The other ports have the same kind of server each: one of the names is enough there.
    const open = [chain.url, `http://${chain.pubsub}`].map((url) => Number(new URL(url).port))
    const ours = ports.filter((port) => port !== naive.port)
    t.ok(ours.length >= 6, `the API, Pub/Sub and four health ports: ${ours.join(', ')}`)

    // The attempts of the page do harm to a server without protection.
    const harmed = await attack(browser, naive.port, ['127.0.0.1'])
    for (const by of ['elsewhere', 'rebound'])
      t.ok(
        naive.seen.some((seen) => seen.startsWith(`${by} POST`)),
        `a server that minds nothing gets a POST of a page ${by}`,
      )
    t.ok(
      harmed.some(({ what }) => what.includes('SECRET')),
      'and is read by the page whose name was rebound',
    )

    await Promise.all(
      ours.map(async (port) => {
        const hosts = open.includes(port) ? ['127.0.0.1', 'localhost'] : ['127.0.0.1']
        const got = await attack(browser, port, hosts)
        t.same(got, [], `nothing can be read of port ${port}`)
      }),
    )
    await sleep(2_000)
    t.same(await kept(chain), before, 'and nothing has been changed')
  },
)

/** All state that a page could change. */
async function kept(chain: Chain): Promise<unknown> {
  const ask = async (url: string): Promise<unknown> => (await fetch(url)).json()
  const ofPubsub = `http://${chain.pubsub}/v1/projects/${PROJECT}`
  const log = (await readFile(chain.folder.log, 'utf8')).split('\n')
  return {
    track: await ask(`${chain.url}/v1/tracks/track`),
    tracks: await ask(`${chain.url}/v1/tracks`),
    letters: await ask(`${chain.url}/v1/dead-letters`),
    topics: await ask(`${ofPubsub}/topics`),
    subscriptions: await ask(`${ofPubsub}/subscriptions`),
    // `published` has no consumer here: all announcements so far.
    waiting: await waitingOf(chain.folder.queue),
    deliveries: log.filter((line) => line.includes('"settlement"')).length,
    pids: chain.pids(),
  }
}

/** What a page of another origin, and one on this very port by another name, gets from it. */
async function attack(
  browser: Browser,
  port: number,
  hosts: readonly string[],
): Promise<Got[]> {
  const own = hosts.map((host) => `http://${host}:${port}`)
  const elsewhere = await ran(browser, 'http://elsewhere.test:9/', own)
  const rebound = await ran(browser, `http://rebound.test:${port}/`, [
    `http://rebound.test:${port}`,
  ])
  return [...elsewhere, ...rebound]
}

async function ran(browser: Browser, at: string, targets: string[]): Promise<Got[]> {
  const context = await browser.newContext()
  const page = await context.newPage()
  const by = new URL(at).hostname.split('.')[0] ?? ''
  try {
    // The page is served by the attacker's own server, as before its name is rebound.
    await page.route(`${at}attack-${by}`, (route) =>
      route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>x</title>' }),
    )
    await page.goto(`${at}attack-${by}`)
    return await attempts(page, by, targets)
  } finally {
    await context.close()
  }
}

/** The page's own script: everything that a page can do to an address, and what it got. */
async function attempts(page: Page, by: string, targets: string[]): Promise<Got[]> {
  return page.evaluate(
    `(async (by, project, targets) => {
      const got = []
      const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
      const job = JSON.stringify({ asset_guid: 'forged-' + by })
      const messages = JSON.stringify({ messages: [{ data: btoa(job) }] })
      const topics = '/v1/projects/' + project + '/topics/'
      const posts = [
        ['/v1/jobs', job],
        ...['ingest', 'stage', 'publish', 'published', 'events', 'dead-letter'].map(
          (topic) => [topics + topic + ':publish', messages]),
        ['/v1/projects/' + project + '/subscriptions/ingest:pull', '{"maxMessages":1,"returnImmediately":true}'],
        ['/v1/projects/' + project + '/subscriptions/published:pull', '{"maxMessages":1,"returnImmediately":true}'],
        ['/v1/dead-letters/redrive', '{}'],
      ]
      const gets = ['/', '/v1/tracks', '/v1/tracks/track', '/metrics', '/healthz', '/readyz', '/openapi.json',
        '/v1/live', '/v1/projects/' + project + '/topics', '/v1/projects/' + project + '/subscriptions']
      // An opaque response reveals nothing.
      const readable = async (how, path, response) => {
        const text = await response.text().catch(() => '')
        if (response.ok || text.includes('SECRET')) got.push({ by, path, what: how + ' ' + response.status + ' ' + text.slice(0, 200) })
      }
      const tried = async (how, url, options) => {
        await fetch(url, { signal: AbortSignal.timeout(3000), ...options }).then(
          (response) => response.type === 'opaque' ? undefined : readable(how, url, response), () => {})
      }
      const loads = (tag, url) => new Promise((resolve) => {
        const element = document.createElement(tag)
        element.onload = () => {
          // Only the content of a frame counts: a refusal loads as well.
          let text = ''
          try { text = tag === 'iframe' ? (element.contentDocument?.body.innerText ?? '') : 'loaded' } catch {}
          if (text !== '' && !/Host is|another site|FORBIDDEN|PERMISSION_DENIED|chrome-error/.test(text))
            got.push({ by, path: url, what: tag + ' ' + text.slice(0, 100) })
          resolve()
        }
        element.onerror = resolve
        setTimeout(resolve, 2000)
        element.src = url
        document.body.append(element)
      })
      for (const target of targets) {
        await Promise.all(posts.map(async ([path, body]) => {
          const url = target + path
          await tried('text', url, { method: 'POST', mode: 'no-cors', body })
          await tried('form', url, { method: 'POST', mode: 'no-cors', body: new URLSearchParams({ a: body }) })
          await tried('blob', url, { method: 'POST', mode: 'no-cors', body: new Blob([body]) })
          await tried('json', url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
          navigator.sendBeacon(url, new Blob([body], { type: 'text/plain' }))
          const frame = document.createElement('iframe')
          frame.name = 'f' + Math.random()
          const form = document.createElement('form')
          Object.assign(form, { method: 'POST', action: url, enctype: 'text/plain', target: frame.name })
          const input = document.createElement('input')
          // The body of a text/plain form is name=value.
          input.name = body.slice(0, -1) + ',"x":"'
          input.value = '"}'
          form.append(input)
          document.body.append(frame, form)
          form.submit()
        }))
        for (const verb of ['PUT', 'DELETE', 'PATCH'])
          await tried(verb, target + topics + 'ingest', { method: verb, headers: { 'content-type': 'application/json' }, body: '{}' })
        await Promise.all(gets.map(async (path) => {
          const url = target + path
          await tried('cors', url, {})
          await tried('no-cors', url, { mode: 'no-cors', credentials: 'include' })
          await Promise.all(['img', 'script', 'iframe'].map((tag) => loads(tag, url)))
        }))
        await Promise.all(['/', '/v1/live', topics + 'ingest'].map((path) => new Promise((resolve) => {
          const url = target + path
          const source = new EventSource(url)
          source.onopen = () => { got.push({ by, path: url, what: 'events' }); source.close(); resolve() }
          source.onerror = () => { source.close(); resolve() }
          const socket = new WebSocket(url.replace('http', 'ws'))
          socket.onopen = () => { got.push({ by, path: url, what: 'socket' }); socket.close() }
          setTimeout(resolve, 2000)
        })))
      }
      await later(500)
      return got
    })(${JSON.stringify(by)}, ${JSON.stringify(PROJECT)}, ${JSON.stringify(targets)})`,
  )
}

/** A chain that has made a track and is idle. */
async function startedChain(t: Test): Promise<Chain> {
  const data = await mkdtemp(join(tmpdir(), 'trackchain-pages-'))
  const postgres = await testPostgres()
  t.teardown(() => postgres.stop())
  const chain = await startChain({
    database: await postgres.database(),
    ...{ dataFolder: data, port: 0, pubsubPort: 0, onNotice: (said) => t.comment(said) },
  })
  t.teardown(async () => {
    await chain.close()
    await rm(data, { recursive: true, force: true })
  })
  await writeFile(
    join(chain.folder.masters, 'track.wav'),
    wav([sine(220_500, 440), sine(220_500, 440)]),
  )
  const posted = await fetch(`${chain.url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ asset_guid: 'track', derivative_assets: ['waveform'] }),
  })
  const { request_id } = (await posted.json()) as { request_id: string }
  for (;;) {
    const asked = await fetch(`${chain.url}/v1/jobs/${request_id}`)
    const { state } = (await asked.json()) as { state: string }
    if (state === 'done') break
    await sleep(200)
  }
  // Events are recorded a moment later.
  for (let last = ''; ; await sleep(2_000)) {
    const now = JSON.stringify(await kept(chain))
    if (now === last) return chain
    last = now
  }
}

/** A server without any protection. */
async function naiveServer(t: Test) {
  const seen: string[] = []
  const server = createServer((request, response) => {
    const { host = '', origin = '', referer = '' } = request.headers
    const isRebound = /rebound/.test(host)
    const isElsewhere = /elsewhere/.test(`${origin} ${referer}`)
    seen.push(`${isRebound ? 'rebound' : isElsewhere ? 'elsewhere' : '?'} ${request.method}`)
    request.resume()
    response.end('SECRET')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { seen, port: (server.address() as AddressInfo).port }
}
