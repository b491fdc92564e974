import type { Browser, Page } from 'playwright-core'
import { PROJECT } from '../../../tools/local/chain-settings.ts'

/** What a page got from a port. */
interface Got {
  readonly by: string
  readonly path: string
  readonly what: string
}

/** What a page attacks. */
interface Target {
  /** Without a path. */
  readonly url: string
  /** `all`: every path of the API and of the Pub/Sub server; `health`: those of a health port, one way each. */
  readonly reach: 'all' | 'health'
}

/** What a page of another origin gets from these. */
export function fromElsewhere(browser: Browser, targets: readonly Target[]): Promise<Got[]> {
  return ran(browser, 'http://elsewhere.test:9/', targets)
}

/** What a page on this very port gets from it, by another name. */
export function fromRebound(
  browser: Browser,
  port: number,
  reach: Target['reach'],
): Promise<Got[]> {
  const url = `http://rebound.test:${port}`
  return ran(browser, `${url}/`, [{ url, reach }])
}

async function ran(browser: Browser, at: string, targets: readonly Target[]): Promise<Got[]> {
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
async function attempts(page: Page, by: string, targets: readonly Target[]): Promise<Got[]> {
  return page.evaluate(
    `(async (by, project, targets) => {
      const got = []
      const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
      const job = JSON.stringify({ asset_guid: 'forged-' + by })
      const messages = JSON.stringify({ messages: [{ data: btoa(job) }] })
      const topics = '/v1/projects/' + project + '/topics/'
      const postsOf = (reach) => [
        ['/v1/jobs', job],
        ...['ingest', 'stage', 'publish', 'published', 'events', 'dead-letter'].map(
          (topic) => [topics + topic + ':publish', messages]),
        ['/v1/projects/' + project + '/subscriptions/ingest:pull', '{"maxMessages":1,"returnImmediately":true}'],
        ['/v1/projects/' + project + '/subscriptions/published:pull', '{"maxMessages":1,"returnImmediately":true}'],
        ['/v1/dead-letters/redrive', '{}'],
      ].slice(0, reach === 'all' ? undefined : 2)
      const getsOf = (reach) => reach === 'health' ? ['/', '/metrics', '/healthz', '/readyz'] : ['/', '/v1/tracks', '/v1/tracks/track', '/metrics', '/healthz', '/readyz', '/openapi.json',
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
      await Promise.all(targets.map(async ({ url: target, reach }) => {
        await Promise.all(postsOf(reach).map(async ([path, body]) => {
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
        await Promise.all(getsOf(reach).map(async (path) => {
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
      }))
      await later(500)
      return got
    })(${JSON.stringify(by)}, ${JSON.stringify(PROJECT)}, ${JSON.stringify(targets)})`,
  )
}
